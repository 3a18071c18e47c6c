package androidx.test.runner.lifecycle;

/** Stands in for a class of androidx.test, which Robolectric names and no test here uses. */
public final class ApplicationLifecycleMonitorRegistry {
    private ApplicationLifecycleMonitorRegistry() {}

    public static void registerInstance(ApplicationLifecycleMonitor monitor) {}
}

package androidx.test.runner.intent;

/** Stands in for a class of androidx.test, which Robolectric names and no test here uses. */
public final class IntentStubberRegistry {
    private IntentStubberRegistry() {}

    public static boolean isLoaded() {
        return false;
    }
}

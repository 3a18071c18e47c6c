package androidx.test.runner.lifecycle;

import android.app.Activity;

/** Stands in for a class of androidx.test, which Robolectric names and no test here uses. */
public interface ActivityLifecycleMonitor {
    Stage getLifecycleStageOf(Activity activity);
}

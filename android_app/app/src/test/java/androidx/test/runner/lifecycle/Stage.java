package androidx.test.runner.lifecycle;

/** Stands in for a class of androidx.test, which Robolectric names and no test here uses. */
public enum Stage { PRE_ON_CREATE, CREATED, STARTED, RESUMED, PAUSED, STOPPED, RESTARTED, DESTROYED }

package androidx.test.runner.lifecycle;

/** Stands in for a class of androidx.test, which Robolectric names and no test here uses. */
public enum ApplicationStage { PRE_ON_CREATE, CREATED }

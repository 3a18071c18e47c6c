package androidx.test.internal.platform.content;

/** Stands in for a class of androidx.test, which Robolectric names and no test here uses. */
public interface PermissionGranter {}

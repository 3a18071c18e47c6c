package org.edgekit.sample;

import android.app.Activity;

/** Reached only through the manifest. */
public class Hidden extends Activity {}

package org.edgekit.ocr.app

import android.app.Activity
import android.graphics.Insets
import android.os.Build
import android.view.View
import android.view.WindowInsets

val Activity.ocr: OcrApplication get() = application as OcrApplication

/** Shows [layout], its toolbar if it has one, and keeps its content clear of bars, cutouts and the keyboard. */
fun Activity.showLayout(layout: Int, withUp: Boolean = true) {
    setContentView(layout)
    findViewById<android.widget.Toolbar?>(R.id.toolbar)?.let {
        setActionBar(it)
        actionBar?.setDisplayHomeAsUpEnabled(withUp)
        if (withUp) {
            it.setNavigationIcon(R.drawable.ic_back)
            it.setNavigationContentDescription(R.string.back)
        }
    }
    clearOfBars(findViewById(R.id.root))
}

/** Pads [view] by the system's bars: since Android 15 the window is drawn from edge to edge. */
fun clearOfBars(view: View) {
    view.setOnApplyWindowInsetsListener { padded, insets ->
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val bars = barInsets(insets)
            padded.setPadding(bars.left, bars.top, bars.right, bars.bottom)
        } else {
            @Suppress("DEPRECATION")
            padded.setPadding(
                insets.systemWindowInsetLeft,
                insets.systemWindowInsetTop,
                insets.systemWindowInsetRight,
                insets.systemWindowInsetBottom,
            )
        }
        insets
    }
}

private fun barInsets(insets: WindowInsets): Insets {
    val types = WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout() or WindowInsets.Type.ime()
    return insets.getInsets(types)
}

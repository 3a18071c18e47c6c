package org.edgekit.ocr.app

import android.content.Context
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View

/** Fingers on the preview: a tap says where, two fingers by which factor more the picture is to be enlarged. */
class CameraTouch(context: Context, tap: (Float, Float) -> Unit, zoom: (Float) -> Unit) : View.OnTouchListener {
    private val taps = GestureDetector(
        context,
        object : GestureDetector.SimpleOnGestureListener() {
            override fun onDown(event: MotionEvent): Boolean = true

            override fun onSingleTapUp(event: MotionEvent): Boolean {
                tap(event.x, event.y)
                return true
            }
        },
    )
    private val pinch = ScaleGestureDetector(
        context,
        object : ScaleGestureDetector.SimpleOnScaleGestureListener() {
            override fun onScale(detector: ScaleGestureDetector): Boolean {
                zoom(detector.scaleFactor)
                return true
            }
        },
    )

    override fun onTouch(view: View, event: MotionEvent): Boolean {
        pinch.onTouchEvent(event)
        if (!pinch.isInProgress) taps.onTouchEvent(event)
        return true
    }
}

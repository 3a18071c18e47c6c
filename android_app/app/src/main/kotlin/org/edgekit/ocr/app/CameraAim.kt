package org.edgekit.ocr.app

import android.graphics.Rect
import android.hardware.camera2.CaptureRequest
import android.hardware.camera2.params.MeteringRectangle

/** How the user holds the camera to its scene: torch, zoom and the point that is to be sharp. Goes into each request. */
class CameraAim(private val facts: CameraFacts) {
    var torch = false

    /** Where the user has pointed, in the sensor's pixels; null while the camera chooses. */
    var region: Rect? = null

    /** How many times the picture is enlarged. */
    var zoom = 1f
        set(value) {
            field = value.coerceIn(1f, facts.maxZoom.coerceIn(1f, MOST_ZOOM))
        }

    /** The part of the sensor that regions are given in and the picture shows. */
    val visible: Rect get() = if (facts.zoomsByRatio) facts.array else CameraGeometry.zoomed(facts.array, zoom)

    fun write(request: CaptureRequest.Builder) {
        if (facts.hasTorch) {
            val mode = if (torch) CaptureRequest.FLASH_MODE_TORCH else CaptureRequest.FLASH_MODE_OFF
            request.set(CaptureRequest.FLASH_MODE, mode)
        }
        writeZoom(request)
        facts.autofocus?.let { writeFocus(request, it) }
    }

    private fun writeFocus(request: CaptureRequest.Builder, following: Int) {
        val point = region
        request.set(CaptureRequest.CONTROL_AF_MODE, if (point == null) following else CaptureRequest.CONTROL_AF_MODE_AUTO)
        if (point == null) return
        val regions = arrayOf(MeteringRectangle(point, MeteringRectangle.METERING_WEIGHT_MAX))
        request.set(CaptureRequest.CONTROL_AF_REGIONS, regions)
        if (facts.canMeter) request.set(CaptureRequest.CONTROL_AE_REGIONS, regions)
    }

    private fun writeZoom(request: CaptureRequest.Builder) {
        if (facts.maxZoom <= 1f) return
        // Only so on Android 11 and later.
        if (facts.zoomsByRatio) {
            request.set(CaptureRequest.CONTROL_ZOOM_RATIO, zoom)
        } else {
            request.set(CaptureRequest.SCALER_CROP_REGION, visible)
        }
    }

    private companion object {
        /** Beyond it digital zoom only enlarges noise. */
        const val MOST_ZOOM = 8f
    }
}

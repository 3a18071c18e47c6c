package org.edgekit.ocr.app

import android.graphics.ImageFormat
import android.graphics.Rect
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.os.Build
import android.util.Range
import android.util.Size

/**
 * What is known of a camera before it is opened.
 *
 * [autofocus] is the mode in which the lens follows the scene, null where it does not move; [canPoint] and [canMeter]
 * say whether it and the exposure can be led to a region. [array] is the sensor's area that regions are given in.
 * [zoomsByRatio] holds for cameras that take a ratio (Android 11 on); others take the part of [array] that is seen.
 */
class CameraFacts(
    val id: String,
    val sensorOrientation: Int,
    val front: Boolean,
    val preview: Size,
    val photo: Size,
    val autofocus: Int?,
    val canPoint: Boolean,
    val canMeter: Boolean,
    val hasTorch: Boolean,
    val array: Rect,
    val zoomsByRatio: Boolean,
    val maxZoom: Float,
) {
    companion object {
        /** About the pixels that the detector sees: more would only cost time. */
        private const val FRAME_PIXELS = 1280 * 960

        /** Returns the first camera at the back, or any; null when the device has none. */
        fun find(manager: CameraManager, photoPixels: Int): CameraFacts? {
            val cameras = manager.cameraIdList.map { it to manager.getCameraCharacteristics(it) }
            val (id, traits) = cameras.firstOrNull { facing(it.second) == CameraCharacteristics.LENS_FACING_BACK }
                ?: cameras.firstOrNull() ?: return null
            val sizes = traits.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP) ?: return null
            val photos = sizes.getOutputSizes(ImageFormat.JPEG)?.toList().orEmpty()
            val frames = sizes.getOutputSizes(ImageFormat.YUV_420_888)?.toList().orEmpty()
            if (photos.isEmpty() || frames.isEmpty()) return null
            val photo = CameraGeometry.nearest(photos, photoPixels)
            val autofocus = autofocus(traits)
            val array = traits.get(CameraCharacteristics.SENSOR_INFO_ACTIVE_ARRAY_SIZE)
            val ratios = zoomRatios(traits)
            return CameraFacts(
                id,
                traits.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0,
                facing(traits) == CameraCharacteristics.LENS_FACING_FRONT,
                CameraGeometry.nearest(frames, FRAME_PIXELS, photo),
                photo,
                autofocus,
                autofocus != null && array != null && (traits.get(CameraCharacteristics.CONTROL_MAX_REGIONS_AF) ?: 0) > 0,
                (traits.get(CameraCharacteristics.CONTROL_MAX_REGIONS_AE) ?: 0) > 0,
                traits.get(CameraCharacteristics.FLASH_INFO_AVAILABLE) == true,
                array ?: Rect(),
                ratios != null,
                ratios?.upper ?: if (array == null) 1f else zoomByCrop(traits),
            )
        }

        private fun facing(traits: CameraCharacteristics) = traits.get(CameraCharacteristics.LENS_FACING)

        private fun autofocus(traits: CameraCharacteristics): Int? {
            val nearest = traits.get(CameraCharacteristics.LENS_INFO_MINIMUM_FOCUS_DISTANCE) ?: 0f
            val modes = traits.get(CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES) ?: intArrayOf()
            // A lens that cannot move has a nearest distance of 0.
            if (nearest <= 0f) return null
            val wanted = listOf(CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE, CaptureRequest.CONTROL_AF_MODE_AUTO)
            return wanted.firstOrNull { it in modes }
        }

        private fun zoomRatios(traits: CameraCharacteristics): Range<Float>? {
            if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) return null
            return traits.get(CameraCharacteristics.CONTROL_ZOOM_RATIO_RANGE)
        }

        private fun zoomByCrop(traits: CameraCharacteristics): Float =
            traits.get(CameraCharacteristics.SCALER_AVAILABLE_MAX_DIGITAL_ZOOM) ?: 1f
    }
}

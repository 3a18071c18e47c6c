package org.edgekit.ocr.app

import android.app.Activity
import android.graphics.ImageFormat
import android.graphics.Rect
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureFailure
import android.hardware.camera2.CaptureRequest
import android.hardware.camera2.CaptureResult
import android.hardware.camera2.TotalCaptureResult
import android.hardware.camera2.impl.CameraMetadataNative
import android.os.Handler
import android.util.Size
import android.view.TextureView
import android.view.View
import java.util.concurrent.CopyOnWriteArrayList
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.annotation.RealObject
import org.robolectric.annotation.Resetter
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.StreamConfigurationMapBuilder

/** Settings of requests and answers, kept in Java: Android keeps them in native memory, which the host lacks. */
@Implements(CameraMetadataNative::class)
class ShadowMetadata {
    private val values = HashMap<String, Any?>()

    @Implementation
    fun nativeAllocate(): Long = 1

    @Implementation
    fun __constructor__(other: CameraMetadataNative) {
        values.putAll(Shadow.extract<ShadowMetadata>(other).values)
    }

    @Implementation
    fun <T> set(key: CameraMetadataNative.Key<T>, value: T?) {
        values[key.name] = value
    }

    @Implementation
    @Suppress("UNCHECKED_CAST")
    fun <T> get(key: CameraMetadataNative.Key<T>): T? = values[key.name] as T?
}

/** Keeps what an app asks of a camera, so that a test can answer. */
@Implements(className = "android.hardware.camera2.impl.CameraCaptureSessionImpl")
class ShadowSession {
    @Implementation
    fun setRepeatingRequest(request: CaptureRequest, callback: CameraCaptureSession.CaptureCallback?, handler: Handler?): Int {
        repeating.add(Asked(request, callback, handler))
        return repeating.size
    }

    @Implementation
    fun capture(request: CaptureRequest, callback: CameraCaptureSession.CaptureCallback?, handler: Handler?): Int {
        captures.add(Asked(request, callback, handler))
        return captures.size
    }

    @Implementation
    fun close() {
        closed++
    }

    companion object {
        val repeating = CopyOnWriteArrayList<Asked>()
        val captures = CopyOnWriteArrayList<Asked>()

        @Volatile
        var closed = 0

        @Resetter
        @JvmStatic
        fun reset() {
            repeating.clear()
            captures.clear()
            closed = 0
        }
    }
}

/** A request that was made. */
class Asked(
    val request: CaptureRequest,
    private val callback: CameraCaptureSession.CaptureCallback?,
    private val handler: Handler?,
) {
    operator fun <T> get(key: CaptureRequest.Key<T>): T? = request.get(key)

    /** Answers with the state of the lens, as the camera does on the app's thread. */
    fun answer(afState: Int) {
        val values = CameraMetadataNative()
        values.set(CaptureResult.CONTROL_AF_STATE, afState)
        val result = TotalCaptureResult(values, 1)
        handler?.post { callback?.onCaptureCompleted(Shadow.newInstanceOf(SESSION) as CameraCaptureSession, request, result) }
    }

    fun fail() {
        val failure = CaptureFailure(request, CaptureFailure.REASON_ERROR, false, 1, 1L, null)
        handler?.post { callback?.onCaptureFailed(Shadow.newInstanceOf(SESSION) as CameraCaptureSession, request, failure) }
    }

    private companion object {
        const val SESSION = "android.hardware.camera2.impl.CameraCaptureSessionImpl"
    }
}

/** Adds a camera as phones have them at the back: 4000 x 3000, lying, with light, autofocus and zoom; [change] it. */
fun addCamera(id: String = "0", change: (ShadowCameraCharacteristics) -> Unit = {}) {
    val traits = ShadowCameraCharacteristics.newCameraCharacteristics()
    val sizes = StreamConfigurationMapBuilder.newBuilder()
    for (size in listOf(Size(4000, 3000), Size(1280, 960))) {
        sizes.addOutputSize(ImageFormat.JPEG, size)
        sizes.addOutputSize(ImageFormat.YUV_420_888, size)
    }
    val shadow = Shadow.extract<ShadowCameraCharacteristics>(traits)
    shadow.set(CameraCharacteristics.LENS_FACING, CameraCharacteristics.LENS_FACING_BACK)
    shadow.set(CameraCharacteristics.SENSOR_ORIENTATION, 90)
    shadow.set(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP, sizes.build())
    shadow.set(CameraCharacteristics.LENS_INFO_MINIMUM_FOCUS_DISTANCE, 10f)
    shadow.set(
        CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES,
        intArrayOf(CaptureRequest.CONTROL_AF_MODE_OFF, CaptureRequest.CONTROL_AF_MODE_AUTO, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE),
    )
    shadow.set(CameraCharacteristics.CONTROL_MAX_REGIONS_AF, 1)
    shadow.set(CameraCharacteristics.FLASH_INFO_AVAILABLE, true)
    shadow.set(CameraCharacteristics.SENSOR_INFO_ACTIVE_ARRAY_SIZE, Rect(0, 0, 4000, 3000))
    shadow.set(CameraCharacteristics.SCALER_AVAILABLE_MAX_DIGITAL_ZOOM, 4f)
    change(shadow)
    val manager = RuntimeEnvironment.getApplication().getSystemService(CameraManager::class.java)
    shadowOf(manager).addCamera(id, traits)
}

/** Gives the camera's screen the surface that a window gives it on a device, and waits until its camera is open. */
fun CameraActivity.surface() {
    val preview = findViewById<TextureView>(R.id.preview)
    preview.surfaceTextureListener?.onSurfaceTextureAvailable(SurfaceTexture(0), preview.width, preview.height)
    waitFor("the camera") { enabled(R.id.shutter) }
}

fun Activity.enabled(id: Int) = findViewById<View>(id).isEnabled

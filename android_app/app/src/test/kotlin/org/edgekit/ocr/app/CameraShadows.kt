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
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.CopyOnWriteArrayList
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.annotation.RealObject
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.StreamConfigurationMapBuilder

/** Settings of requests and answers, kept in Java: Android keeps them in native memory, which the host lacks. */
@Implements(CameraMetadataNative::class)
class ShadowMetadata {
    private var values = HashMap<String, Any?>()

    @Implementation
    fun swap(other: CameraMetadataNative) {
        val theirs = Shadow.extract<ShadowMetadata>(other)
        values = theirs.values.also { theirs.values = values }
    }

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

    companion object {
        @Implementation
        @JvmStatic
        fun nativeAllocate(): Long = 1
    }
}

/** Android's own: Robolectric's keeps what is set to itself, and requests that are built of it lack it. */
@Implements(CaptureRequest.Builder::class)
class ShadowRequestBuilder

/** Android's own, as above. */
@Implements(CaptureResult::class)
class ShadowAnswer

/** Keeps what an app asks of a camera, so that a test can answer. */
@Implements(className = "android.hardware.camera2.impl.CameraCaptureSessionImpl")
class ShadowSession {
    @RealObject
    private lateinit var session: CameraCaptureSession

    @Implementation
    fun setRepeatingRequest(request: CaptureRequest, callback: CameraCaptureSession.CaptureCallback?, handler: Handler?): Int {
        repeating.add(Asked(session, request, callback, handler))
        return repeating.size
    }

    @Implementation
    fun capture(request: CaptureRequest, callback: CameraCaptureSession.CaptureCallback?, handler: Handler?): Int {
        captures.add(Asked(session, request, callback, handler))
        return captures.size
    }

    @Implementation
    fun close() {
        closings++
        if (repeating.any { it.session === session }) closedSessions.add(session)
    }

    companion object {
        val repeating = CopyOnWriteArrayList<Asked>()
        val captures = CopyOnWriteArrayList<Asked>()

        private val closedSessions = ConcurrentHashMap.newKeySet<CameraCaptureSession>()

        /** Sessions of this test that were closed. One of the test before may be closed late: it does not count. */
        val closed get() = closedSessions.size

        /** How often any session was closed. */
        @Volatile
        var closings = 0

        /** Before each test. */
        fun reset() {
            repeating.clear()
            captures.clear()
            closedSessions.clear()
            closings = 0
        }
    }
}

/** A request that was made. */
class Asked(
    internal val session: CameraCaptureSession,
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
        handler?.post { callback?.onCaptureCompleted(session, request, result) }
    }

    fun fail() {
        val failure = CaptureFailure(request, CaptureFailure.REASON_ERROR, false, 1, 1L, null)
        handler?.post { callback?.onCaptureFailed(session, request, failure) }
    }
}

/** JPEG, as the system itself calls it. */
private const val BLOB = 0x21

/** Adds a camera as phones have them at the back: 4000 x 3000, lying, with light, autofocus and zoom, but for [other]. */
fun addCamera(vararg other: Pair<CameraCharacteristics.Key<*>, Any>) {
    val sizes = StreamConfigurationMapBuilder.newBuilder()
    for (size in listOf(Size(4000, 3000), Size(1280, 960))) {
        sizes.addOutputSize(BLOB, size)
        sizes.addOutputSize(ImageFormat.YUV_420_888, size)
    }
    val modes = listOf(
        CaptureRequest.CONTROL_AF_MODE_OFF,
        CaptureRequest.CONTROL_AF_MODE_AUTO,
        CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE,
    )
    val traits = mapOf<CameraCharacteristics.Key<*>, Any>(
        CameraCharacteristics.LENS_FACING to CameraCharacteristics.LENS_FACING_BACK,
        CameraCharacteristics.SENSOR_ORIENTATION to 90,
        CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP to sizes.build(),
        CameraCharacteristics.LENS_INFO_MINIMUM_FOCUS_DISTANCE to 10f,
        CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES to modes.toIntArray(),
        CameraCharacteristics.CONTROL_MAX_REGIONS_AF to 1,
        CameraCharacteristics.FLASH_INFO_AVAILABLE to true,
        CameraCharacteristics.SENSOR_INFO_ACTIVE_ARRAY_SIZE to Rect(0, 0, 4000, 3000),
        CameraCharacteristics.SCALER_AVAILABLE_MAX_DIGITAL_ZOOM to 4f,
    )
    val camera = ShadowCameraCharacteristics.newCameraCharacteristics()
    val shadow = Shadow.extract<ShadowCameraCharacteristics>(camera)
    for ((key, value) in traits + other) shadow.set(key, value)
    val manager = shadowOf(RuntimeEnvironment.getApplication().getSystemService(CameraManager::class.java))
    manager.addCamera("0", camera)
}

/** Gives the camera's screen the surface that a window gives it on a device, and waits until its camera is open. */
fun CameraActivity.surface() {
    val preview = findViewById<TextureView>(R.id.preview)
    preview.surfaceTextureListener?.onSurfaceTextureAvailable(SurfaceTexture(0), preview.width, preview.height)
    waitFor("the camera", 30) { enabled(R.id.shutter) }
}

fun Activity.enabled(id: Int) = findViewById<View>(id).isEnabled

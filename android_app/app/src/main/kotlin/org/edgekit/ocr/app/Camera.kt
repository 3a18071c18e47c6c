package org.edgekit.ocr.app

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureFailure
import android.hardware.camera2.CaptureRequest
import android.hardware.camera2.CaptureResult
import android.hardware.camera2.TotalCaptureResult
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.os.SystemClock
import android.view.Surface

/** What a camera says, on the camera's own thread. Each names itself: an old one may speak when a new one is open. */
interface CameraListener {
    /** A frame to read; the listener closes it. */
    fun frame(image: Image)

    /** A photo, as JPEG. */
    fun photo(jpeg: ByteArray)

    fun ready(camera: Camera)

    /** The camera cannot be used, or not any more; its user closes it. */
    fun failed(camera: Camera)

    /** The photo that was asked for did not come; the camera goes on. */
    fun photoFailed(camera: Camera)

    /** The camera is given back, and another can be opened. */
    fun closed(camera: Camera)
}

/**
 * An open camera: a preview on [texture], frames when [live], photos on demand.
 *
 * [close] ends it, after the photo that is on its way, if any. Its other functions do nothing from then on.
 */
class Camera(
    private val facts: CameraFacts,
    texture: SurfaceTexture,
    private val live: Boolean,
    private val listener: CameraListener,
) : AutoCloseable {
    private val thread = HandlerThread("camera").apply { start() }
    private val handler = Handler(thread.looper)
    private val preview = texture.let {
        it.setDefaultBufferSize(facts.preview.width, facts.preview.height)
        Surface(it)
    }
    private val frames = ImageReader.newInstance(facts.preview.width, facts.preview.height, ImageFormat.YUV_420_888, 2)
    private val photos = ImageReader.newInstance(facts.photo.width, facts.photo.height, ImageFormat.JPEG, 1)
    private val aim = CameraAim(facts)
    private val focus = FocusLock(facts.autofocus != null, FOCUS_MILLIS)
    private var device: CameraDevice? = null
    private var session: CameraCaptureSession? = null

    /** The degrees of the photo that is on its way, null when none is. */
    private var photoDegrees: Int? = null
    private var closing = false
    private var closed = false

    /** Opens the camera; the caller holds the permission. */
    @SuppressLint("MissingPermission")
    fun open(context: Context) {
        frames.setOnImageAvailableListener({ reader -> reader.acquireLatestImage()?.let(listener::frame) }, handler)
        photos.setOnImageAvailableListener({ it.acquireNextImage()?.use(::bytes)?.let(::arrived) }, handler)
        // On its own thread: opening waits for the camera's service.
        later { context.getSystemService(CameraManager::class.java).openCamera(facts.id, opened, handler) }
    }

    /** Takes a photo that is upright when turned clockwise by [degrees], which its EXIF says, once it is sharp. */
    fun shoot(degrees: Int) = later {
        if (photoDegrees == null) {
            photoDegrees = degrees
            handler.removeCallbacks(release)
            // In case the camera does not answer.
            handler.postDelayed(overdue, FOCUS_MILLIS)
            act(focus.photo(SystemClock.elapsedRealtime()))
        }
    }

    /** Makes sharp what a frame shows at ([x], [y]), in 0 to 1 of its sides; for some seconds, or for one photo. */
    fun point(x: Float, y: Float) = later {
        if (facts.canPoint && photoDegrees == null) {
            aim.region = CameraGeometry.region(x, y, facts.preview, aim.visible)
            repeat()
            act(focus.point())
            handler.removeCallbacks(release)
            handler.postDelayed(release, POINTED_MILLIS)
        }
    }

    /** Enlarges the picture by [factor] more, as far as the camera goes. */
    fun zoomBy(factor: Float) = later {
        aim.zoom *= factor
        repeat()
    }

    fun light(on: Boolean) = later {
        aim.torch = on
        repeat()
    }

    override fun close() {
        handler.post {
            closing = true
            if (photoDegrees == null) return@post finish()
            // Whether sharp or not: the surface of the preview will go, and the photo is wanted.
            guarded { act(focus.overdue(Long.MAX_VALUE)) }
            handler.postDelayed({ finish() }, LAST_PHOTO_MILLIS)
        }
    }

    private fun finish() {
        if (closed) return
        closed = true
        session?.close()
        device?.close()
        frames.close()
        photos.close()
        preview.release()
        listener.closed(this)
        // Safely: a device that is opened at this moment comes by a message that is waiting, and is closed.
        thread.quitSafely()
    }

    private fun later(work: () -> Unit) {
        handler.post { if (!closing) guarded(work) }
    }

    private fun guarded(work: () -> Unit) {
        try {
            if (!closed) work()
        } catch (error: CameraAccessException) {
            fail()
        } catch (error: IllegalStateException) {
            // The camera went away between two calls.
            fail()
        } catch (error: IllegalArgumentException) {
            // The screen's surface is gone, or the camera that was found.
            fail()
        } catch (error: SecurityException) {
            fail()
        }
    }

    private fun fail() {
        photoDegrees = null
        // The user of a closing camera has no further interest in it.
        if (closing) finish() else listener.failed(this)
    }

    private fun request(template: Int, target: Surface): CaptureRequest.Builder? {
        val request = device?.createCaptureRequest(template) ?: return null
        request.addTarget(target)
        aim.write(request)
        return request
    }

    private fun previewRequest(): CaptureRequest.Builder? = request(CameraDevice.TEMPLATE_PREVIEW, preview)?.also {
        if (live) it.addTarget(frames.surface)
    }

    private fun repeat() {
        previewRequest()?.let { session?.setRepeatingRequest(it.build(), answers, handler) }
    }

    private fun act(step: FocusLock.Step) {
        when (step) {
            FocusLock.Step.NOTHING -> Unit
            FocusLock.Step.TRIGGER -> trigger(CaptureRequest.CONTROL_AF_TRIGGER_START)
            FocusLock.Step.SHOOT -> capture()
        }
    }

    private fun trigger(action: Int) {
        val request = previewRequest() ?: return
        request.set(CaptureRequest.CONTROL_AF_TRIGGER, action)
        if (action == CaptureRequest.CONTROL_AF_TRIGGER_START) request.setTag(TRIGGER)
        session?.capture(request.build(), answers, handler)
    }

    private fun capture() {
        handler.removeCallbacks(overdue)
        val request = request(CameraDevice.TEMPLATE_STILL_CAPTURE, photos.surface)
        val made = session
        if (request == null || made == null) return missed()
        request.set(CaptureRequest.JPEG_ORIENTATION, photoDegrees ?: 0)
        made.capture(request.build(), captured, handler)
    }

    private fun arrived(jpeg: ByteArray) {
        if (photoDegrees == null) return
        photoDegrees = null
        listener.photo(jpeg)
        if (closing) finish() else guarded { free() }
    }

    private fun missed() {
        if (photoDegrees == null) return
        photoDegrees = null
        if (closing) return finish()
        listener.photoFailed(this)
        guarded { free() }
    }

    /** Lets the lens follow the scene again. */
    private fun free() {
        focus.free()
        aim.region = null
        if (facts.autofocus == null) return
        trigger(CaptureRequest.CONTROL_AF_TRIGGER_CANCEL)
        repeat()
    }

    private val release = Runnable { guarded { if (photoDegrees == null) free() } }

    private val overdue = Runnable { guarded { act(focus.overdue(SystemClock.elapsedRealtime())) } }

    private fun bytes(image: Image): ByteArray {
        val buffer = image.planes[0].buffer
        return ByteArray(buffer.remaining()).also { buffer.get(it) }
    }

    private val opened = object : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            if (closing) return camera.close()
            device = camera
            val targets = if (live) listOf(preview, photos.surface, frames.surface) else listOf(preview, photos.surface)
            @Suppress("DEPRECATION")
            guarded { camera.createCaptureSession(targets, configured, handler) }
        }

        override fun onDisconnected(camera: CameraDevice) = lost(camera)

        override fun onError(camera: CameraDevice, error: Int) = lost(camera)

        private fun lost(camera: CameraDevice) {
            camera.close()
            device = null
            session = null
            if (!closed) fail()
        }
    }

    private val configured = object : CameraCaptureSession.StateCallback() {
        override fun onConfigured(made: CameraCaptureSession) {
            if (closing) return
            session = made
            guarded {
                repeat()
                listener.ready(this@Camera)
            }
        }

        override fun onConfigureFailed(made: CameraCaptureSession) {
            if (!closed) fail()
        }
    }

    /** Follows the lens through the answers to the preview's requests. */
    private val answers = object : CameraCaptureSession.CaptureCallback() {
        override fun onCaptureCompleted(made: CameraCaptureSession, request: CaptureRequest, result: TotalCaptureResult) {
            val state = result.get(CaptureResult.CONTROL_AF_STATE)
            val locked = state == CaptureResult.CONTROL_AF_STATE_FOCUSED_LOCKED ||
                state == CaptureResult.CONTROL_AF_STATE_NOT_FOCUSED_LOCKED
            guarded { act(focus.answered(locked, request.tag == TRIGGER, SystemClock.elapsedRealtime())) }
        }
    }

    private val captured = object : CameraCaptureSession.CaptureCallback() {
        override fun onCaptureFailed(made: CameraCaptureSession, request: CaptureRequest, failure: CaptureFailure) =
            missed()

        override fun onCaptureBufferLost(made: CameraCaptureSession, request: CaptureRequest, to: Surface, frame: Long) =
            missed()
    }

    private companion object {
        const val TRIGGER = "trigger"

        /** As long as the photo waits for the lens. */
        const val FOCUS_MILLIS = 1000L

        /** As long as a tap holds the lens. */
        const val POINTED_MILLIS = 5000L

        /** As long as a closing camera waits for its photo. */
        const val LAST_PHOTO_MILLIS = 2000L
    }
}

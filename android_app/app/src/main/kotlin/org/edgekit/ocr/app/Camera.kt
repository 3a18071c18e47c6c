package org.edgekit.ocr.app

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureFailure
import android.hardware.camera2.CaptureRequest
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.util.Size
import android.view.Surface

/** What a camera tells; on the camera's own thread. */
interface CameraListener {
    /** A frame to read; the listener closes it. */
    fun frame(image: Image)

    /** A photo, as JPEG. */
    fun photo(jpeg: ByteArray)

    fun ready()

    /** The camera cannot be used, or not any more. */
    fun failed()

    /** The photo that was asked for did not come; the camera goes on. */
    fun photoFailed()
}

/** What is known of a camera before it is opened. */
class CameraFacts(val id: String, val sensorOrientation: Int, val front: Boolean, val preview: Size, val photo: Size) {
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
            return CameraFacts(
                id,
                traits.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0,
                facing(traits) == CameraCharacteristics.LENS_FACING_FRONT,
                CameraGeometry.nearest(frames, FRAME_PIXELS, photo),
                photo,
            )
        }

        private fun facing(traits: CameraCharacteristics) = traits.get(CameraCharacteristics.LENS_FACING)
    }
}

/** An open camera: a preview on [texture], frames when [live], photos on demand. [close] ends it. */
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
    private var device: CameraDevice? = null
    private var session: CameraCaptureSession? = null
    private var closed = false

    /** Opens the camera; the caller holds the permission. */
    @SuppressLint("MissingPermission")
    fun open(context: Context) {
        frames.setOnImageAvailableListener({ reader -> reader.acquireLatestImage()?.let(listener::frame) }, handler)
        photos.setOnImageAvailableListener(
            { reader -> reader.acquireNextImage()?.use { listener.photo(bytes(it)) } },
            handler,
        )
        // On its own thread: opening waits for the camera's service.
        handler.post {
            guarded { context.getSystemService(CameraManager::class.java).openCamera(facts.id, opened, handler) }
        }
    }

    /** Takes a photo that is upright when turned clockwise by [degrees], which its EXIF says. */
    fun shoot(degrees: Int) {
        handler.post {
            guarded {
                val request = device?.createCaptureRequest(CameraDevice.TEMPLATE_STILL_CAPTURE) ?: return@guarded
                request.addTarget(photos.surface)
                request.set(CaptureRequest.JPEG_ORIENTATION, degrees)
                request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE)
                session?.capture(request.build(), captured, handler)
            }
        }
    }

    override fun close() {
        handler.post {
            closed = true
            session?.close()
            device?.close()
            frames.close()
            photos.close()
            preview.release()
            thread.quitSafely()
        }
    }

    private fun bytes(image: Image): ByteArray {
        val buffer = image.planes[0].buffer
        return ByteArray(buffer.remaining()).also { buffer.get(it) }
    }

    private fun guarded(work: () -> Unit) {
        try {
            if (!closed) work()
        } catch (error: CameraAccessException) {
            listener.failed()
        } catch (error: IllegalStateException) {
            // The camera went away between two calls.
            listener.failed()
        } catch (error: IllegalArgumentException) {
            // The screen's surface is gone, or the camera that was found.
            listener.failed()
        } catch (error: SecurityException) {
            listener.failed()
        }
    }

    private val opened = object : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            if (closed) return camera.close()
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
            listener.failed()
        }
    }

    private val captured = object : CameraCaptureSession.CaptureCallback() {
        override fun onCaptureFailed(made: CameraCaptureSession, request: CaptureRequest, failure: CaptureFailure) =
            listener.photoFailed()
    }

    private val configured = object : CameraCaptureSession.StateCallback() {
        override fun onConfigured(made: CameraCaptureSession) {
            session = made
            guarded {
                val request = made.device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
                request.addTarget(preview)
                if (live) request.addTarget(frames.surface)
                request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE)
                made.setRepeatingRequest(request.build(), null, handler)
                listener.ready()
            }
        }

        override fun onConfigureFailed(made: CameraCaptureSession) = listener.failed()
    }
}

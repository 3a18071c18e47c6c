package org.edgekit.ocr.app

import android.Manifest
import android.app.Activity
import android.content.Context
import android.content.Intent
import android.content.pm.PackageManager
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraManager
import android.hardware.display.DisplayManager
import android.media.Image
import android.net.Uri
import android.os.Bundle
import android.provider.Settings
import android.view.TextureView
import android.view.View
import android.widget.TextView
import java.io.IOException
import org.edgekit.ocr.OcrResult

/** The camera: takes a photo, and in live mode reads as many of the frames as the device can keep up with. */
class CameraActivity : Activity(), CameraListener {
    private val preview by lazy { findViewById<TextureView>(R.id.preview) }
    private val overlay by lazy { findViewById<BoxOverlay>(R.id.boxes) }
    private val status by lazy { findViewById<TextView>(R.id.camera_status) }
    private val shutter by lazy { findViewById<View>(R.id.shutter) }
    private val displays by lazy { getSystemService(DisplayManager::class.java) }
    private val live by lazy { intent.getBooleanExtra(LIVE, false) }
    private val frames by lazy {
        FrameReader(
            ocr.reader,
            show = { result -> runOnUiThread { show(result) } },
            fail = { error -> runOnUiThread { status.text = Messages.of(this, error) } },
        )
    }
    private var facts: CameraFacts? = null
    private var camera: Camera? = null

    /** Read by the camera's thread. */
    @Volatile
    private var degrees = 0

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_camera)
        shutter.setOnClickListener {
            shutter.isEnabled = false
            camera?.shoot(degrees)
        }
        findViewById<View>(R.id.open_settings).setOnClickListener { openAppSettings() }
        preview.surfaceTextureListener = surface
        val granted = checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED
        if (!granted && state == null) requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
    }

    override fun onResume() {
        super.onResume()
        displays.registerDisplayListener(turned, null)
        start()
    }

    override fun onPause() {
        displays.unregisterDisplayListener(turned)
        camera?.close()
        camera = null
        shutter.isEnabled = false
        super.onPause()
    }

    override fun onRequestPermissionsResult(request: Int, permissions: Array<out String>, results: IntArray) {
        super.onRequestPermissionsResult(request, permissions, results)
        start()
    }

    private fun start() {
        val granted = checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED
        findViewById<View>(R.id.open_settings).visibility = if (granted) View.GONE else View.VISIBLE
        for (view in listOf(preview, shutter)) view.visibility = if (granted) View.VISIBLE else View.GONE
        if (!granted) return say(R.string.camera_permission)
        val found = find() ?: return say(R.string.camera_none)
        facts = found
        say(R.string.camera_aim)
        val texture = preview.surfaceTexture ?: return
        if (camera != null) return
        place()
        camera = Camera(found, texture, live, this).also { it.open(this) }
    }

    private fun find(): CameraFacts? = try {
        CameraFacts.find(getSystemService(CameraManager::class.java), PHOTO_PIXELS)
    } catch (error: CameraAccessException) {
        null
    }

    /** Puts the preview upright and undistorted into its view. */
    private fun place() {
        val known = facts ?: return
        @Suppress("DEPRECATION")
        val rotation = windowManager.defaultDisplay.rotation
        degrees = CameraGeometry.frameDegrees(known.sensorOrientation, rotation, known.front)
        preview.setTransform(
            CameraGeometry.previewTransform(
                known.preview, known.sensorOrientation, rotation, preview.width, preview.height,
            ),
        )
    }

    private fun say(text: Int) {
        status.text = getString(text)
    }

    private fun openAppSettings() {
        startActivity(
            Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", packageName, null)),
        )
    }

    override fun ready() = runOnUiThread { shutter.isEnabled = camera != null }

    override fun failed() = runOnUiThread {
        camera?.close()
        camera = null
        shutter.isEnabled = false
        say(R.string.camera_failed)
    }

    override fun photoFailed() = runOnUiThread {
        shutter.isEnabled = camera != null
        say(R.string.camera_photo_failed)
    }

    override fun photo(jpeg: ByteArray) {
        try {
            val session = ocr.sessions.create()
            session.import(jpeg.inputStream())
            runOnUiThread { open(session) }
        } catch (error: IOException) {
            runOnUiThread {
                shutter.isEnabled = camera != null
                status.text = Messages.of(this, error)
            }
        }
    }

    /** Shows what the photo says, unless the user has left in the meantime. */
    private fun open(session: Session) {
        if (!isFinishing && !isDestroyed) startActivity(ResultActivity.intent(this, session))
    }

    override fun frame(image: Image) {
        // The planes are gone once the image is closed, so they are copied on the camera's own thread.
        image.use {
            frames.offer {
                ocr.loadOpenCv()
                Frames.bgr(it, degrees)
            }
        }
    }

    private fun show(result: OcrResult) {
        if (camera == null) return
        overlay.result = result
        val count = result.lines.size
        status.text = if (count == 0) {
            getString(R.string.camera_aim)
        } else {
            resources.getQuantityString(R.plurals.camera_lines, count, count, result.toText())
        }
    }

    private val surface = object : TextureView.SurfaceTextureListener {
        override fun onSurfaceTextureAvailable(texture: SurfaceTexture, width: Int, height: Int) = start()

        override fun onSurfaceTextureSizeChanged(texture: SurfaceTexture, width: Int, height: Int) = place()

        override fun onSurfaceTextureDestroyed(texture: SurfaceTexture): Boolean = true

        override fun onSurfaceTextureUpdated(texture: SurfaceTexture) = Unit
    }

    /** From one landscape to the other the screen is not made anew: only the display says that it was turned. */
    private val turned = object : DisplayManager.DisplayListener {
        override fun onDisplayChanged(id: Int) = place()

        override fun onDisplayAdded(id: Int) = Unit

        override fun onDisplayRemoved(id: Int) = Unit
    }

    companion object {
        private const val LIVE = "live"

        /** Twelve megapixels: small print is sharp, and every budget has room for it. */
        private const val PHOTO_PIXELS = 12_000_000

        /** Returns an intent that opens the camera; [live] reads frames too. */
        fun intent(context: Context, live: Boolean): Intent =
            Intent(context, CameraActivity::class.java).putExtra(LIVE, live)
    }
}

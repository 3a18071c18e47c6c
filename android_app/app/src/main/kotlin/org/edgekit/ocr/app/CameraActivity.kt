package org.edgekit.ocr.app

import android.Manifest
import android.app.Activity
import android.content.Context
import android.content.Intent
import android.content.pm.PackageManager
import android.content.res.Configuration
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraManager
import android.hardware.display.DisplayManager
import android.media.Image
import android.net.Uri
import android.os.Bundle
import android.os.SystemClock
import android.provider.Settings
import android.view.OrientationEventListener
import android.view.TextureView
import android.view.View
import android.widget.Button
import android.widget.ImageButton
import android.widget.TextView
import java.io.IOException

/** The camera: takes a photo, and in live mode reads as many of the frames as the device can keep up with. */
class CameraActivity : Activity(), CameraListener {
    private val preview by lazy { findViewById<TextureView>(R.id.preview) }
    private val overlay by lazy { findViewById<BoxOverlay>(R.id.boxes) }
    private val status by lazy { findViewById<TextView>(R.id.camera_status) }
    private val shutter by lazy { findViewById<View>(R.id.shutter) }
    private val freeze by lazy { findViewById<View>(R.id.freeze) }
    private val torch by lazy { findViewById<ImageButton>(R.id.torch) }
    private val manager by lazy { getSystemService(CameraManager::class.java) }
    private val displays by lazy { getSystemService(DisplayManager::class.java) }
    private val live by lazy { intent.getBooleanExtra(LIVE, false) }
    internal val frames by lazy {
        FrameReader(
            ocr.reader,
            show = { result -> runOnUiThread { show(result) } },
            fail = { error -> runOnUiThread { frameFailed(error) } },
        )
    }
    private val openPhoto = { id: String ->
        ocr.sessions.find(id)?.let { startActivity(ResultActivity.intent(this, it)) }
        Unit
    }
    private val spoken = Throttle(SPEAK_MILLIS)
    private val retries = Retries()
    private val turn = DeviceTurn()
    private var facts: CameraFacts? = null
    private var texture: SurfaceTexture? = null
    private var camera: Camera? = null

    /** A camera that is being closed: until it is, no other is opened. */
    private var leaving: Camera? = null
    private var resumed = false
    private var broken = false

    /** Whether the failed camera became free before it was closed here. */
    private var freed = false
    private var deniedForGood = false

    /** How a frame and a photo are turned to be upright. Read by the camera's thread. */
    @Volatile
    private var degrees = 0

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_camera)
        shutter.setOnClickListener { shoot() }
        freeze.setOnClickListener { freeze() }
        torch.setOnClickListener { light(!torch.isActivated) }
        overlay.setOnTouchListener(CameraTouch(this, ::tapped) { camera?.zoomBy(it) })
        preview.surfaceTextureListener = surface
        enable(false)
        deniedForGood = state?.getBoolean(DENIED) == true
        if (!granted() && state == null) requestPermissions(arrayOf(Manifest.permission.CAMERA), 0)
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putBoolean(DENIED, deniedForGood)
    }

    override fun onStart() {
        super.onStart()
        // Also a photo that came while the user was elsewhere.
        ocr.photos.listen(openPhoto)
    }

    override fun onResume() {
        super.onResume()
        resumed = true
        displays.registerDisplayListener(displayed, null)
        manager.registerAvailabilityCallback(available, null)
        held.enable()
        start()
    }

    override fun onPause() {
        resumed = false
        held.disable()
        manager.unregisterAvailabilityCallback(available)
        displays.unregisterDisplayListener(displayed)
        leave()
        super.onPause()
    }

    override fun onStop() {
        ocr.photos.leave(openPhoto)
        super.onStop()
    }

    /** A turned device does not make this screen anew: a photo on its way would be lost with the camera. */
    override fun onConfigurationChanged(configuration: Configuration) {
        super.onConfigurationChanged(configuration)
        place()
    }

    private fun granted() = checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED

    override fun onRequestPermissionsResult(request: Int, permissions: Array<out String>, results: IntArray) {
        super.onRequestPermissionsResult(request, permissions, results)
        // No results: the question was interrupted, and answers nothing.
        val denied = results.isNotEmpty() && !granted()
        deniedForGood = denied && !shouldShowRequestPermissionRationale(Manifest.permission.CAMERA)
        start()
    }

    private fun start() {
        val granted = granted()
        for (view in listOf(preview, overlay, shutter)) view.visibility = if (granted) View.VISIBLE else View.GONE
        if (!granted) return explain()
        offer(null) {}
        val found = find() ?: return say(R.string.camera_none)
        facts = found
        torch.visibility = if (found.hasTorch) View.VISIBLE else View.INVISIBLE
        freeze.visibility = if (live) View.VISIBLE else View.INVISIBLE
        say(R.string.camera_aim)
        val shownOn = texture
        if (shownOn == null || !resumed || camera != null || leaving != null) return
        open(found, shownOn)
    }

    private fun open(found: CameraFacts, shownOn: SurfaceTexture) {
        broken = false
        overlay.live = null
        place()
        ocr.reader.warmUp()
        if (live) frames.start()
        camera = Camera(found, shownOn, live, this).also { it.open(this) }
    }

    /** Gives the camera back; a photo on its way still comes. */
    private fun leave() {
        if (live) frames.stop()
        leaving = camera ?: leaving
        camera?.close()
        camera = null
        light(false)
        enable(false)
    }

    private fun find(): CameraFacts? = try {
        CameraFacts.find(manager, PHOTO_PIXELS)
    } catch (error: CameraAccessException) {
        null
    }

    /** Says why there is no picture, and offers what is left: to be asked, or the system's settings. */
    private fun explain() {
        if (deniedForGood) {
            say(R.string.camera_permission_settings)
            offer(R.string.camera_open_settings) { openAppSettings() }
        } else {
            say(R.string.camera_permission)
            offer(R.string.camera_allow) { requestPermissions(arrayOf(Manifest.permission.CAMERA), 0) }
        }
    }

    /** Shows a button with [label] that does [action]; null takes it away. */
    private fun offer(label: Int?, action: () -> Unit) {
        val button = findViewById<Button>(R.id.camera_action)
        button.visibility = if (label == null) View.GONE else View.VISIBLE
        if (label != null) button.setText(label)
        button.setOnClickListener { action() }
    }

    private fun openAppSettings() {
        startActivity(
            Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", packageName, null)),
        )
    }

    @Suppress("DEPRECATION")
    private val rotation get() = windowManager.defaultDisplay.rotation

    /** Puts the preview upright and undistorted into its view. */
    private fun place() {
        val known = facts ?: return
        hold()
        val shown = DeviceTurn.ofDisplay(rotation)
        overlay.displayDegrees = CameraGeometry.frameDegrees(known.sensorOrientation, shown, known.front)
        overlay.mirrored = known.front
        preview.setTransform(
            CameraGeometry.previewTransform(
                known.preview, known.sensorOrientation, rotation, preview.width, preview.height,
            ),
        )
    }

    /** Takes note of how the device is held. */
    private fun hold() {
        val known = facts ?: return
        degrees = CameraGeometry.frameDegrees(known.sensorOrientation, turn.degrees(rotation), known.front)
    }

    private fun say(text: Int) = say(getString(text))

    /** Shows [text], and speaks it to who does not see it. */
    private fun say(text: String) {
        if (text == status.text.toString()) return
        status.text = text
        status.announceForAccessibility(text)
    }

    private fun enable(on: Boolean) {
        shutter.isEnabled = on
        torch.isEnabled = on
        freeze.isEnabled = on && overlay.live != null
    }

    private fun light(on: Boolean) {
        torch.isActivated = on
        torch.contentDescription = getString(if (on) R.string.camera_torch_off else R.string.camera_torch_on)
        camera?.light(on)
    }

    private fun shoot() {
        enable(false)
        camera?.shoot(degrees)
    }

    /** In live mode a tap holds on to what is read; otherwise it says what is to be sharp. */
    private fun tapped(x: Float, y: Float) {
        if (live) return freeze()
        val known = facts ?: return
        val open = camera ?: return
        val point = overlay.framePoint(x, y, known.preview) ?: return
        if (!known.canPoint) return
        overlay.point(x, y)
        open.point(point.x, point.y)
    }

    /** Makes a picture of the frame whose boxes are shown, and opens it as any other. */
    private fun freeze() {
        if (!freeze.isEnabled) return
        enable(false)
        frames.freeze { frame ->
            keep { it.import(Preview.lossless(frame).inputStream()) }
        }
    }

    /** Makes a session that [fill] puts a picture into, and shows it; on any thread. */
    private fun keep(fill: (Session) -> Unit) {
        try {
            val session = ocr.sessions.create()
            fill(session)
            runOnUiThread { if (!isFinishing) ocr.photos.put(session.id) }
        } catch (error: IOException) {
            runOnUiThread {
                say(Messages.of(this, error))
                goOn()
            }
        }
    }

    /** After a photo or a frame that failed. */
    private fun goOn() {
        if (camera == null) return
        enable(true)
        if (live) frames.start()
    }

    override fun ready(camera: Camera) = runOnUiThread { if (camera === this.camera) enable(true) }

    override fun failed(camera: Camera) = runOnUiThread {
        if (camera === this.camera) {
            leave()
            broken = true
            say(R.string.camera_failed)
            offer(R.string.camera_again) { again() }
        }
    }

    /** The user asks for a failed camera again; while that one is still being closed, once it is. */
    private fun again() {
        broken = false
        start()
    }

    override fun photoFailed(camera: Camera) = runOnUiThread {
        if (camera === this.camera) {
            say(R.string.camera_photo_failed)
            goOn()
        }
    }

    override fun closed(camera: Camera) = runOnUiThread {
        if (camera === leaving) {
            leaving = null
            if (resumed && !broken) start()
            if (freed) retry()
            freed = false
        }
    }

    /** Tries a camera again that failed, but not without end. */
    private fun retry() {
        if (broken && resumed && retries.take(SystemClock.elapsedRealtime())) start()
    }

    override fun photo(jpeg: ByteArray) = keep { it.import(jpeg.inputStream()) }

    override fun frame(image: Image) {
        // The planes are gone once the image is closed, so they are copied on the camera's own thread.
        val turned = degrees
        image.use {
            frames.offer(turned) {
                ocr.loadOpenCv()
                Frames.bgr(it, turned)
            }
        }
    }

    internal fun show(found: LiveResult) {
        if (camera == null) return
        overlay.live = found
        freeze.isEnabled = shutter.isEnabled
        val count = found.result.lines.size
        status.text = if (count == 0) {
            getString(R.string.camera_aim)
        } else {
            resources.getQuantityString(R.plurals.camera_lines, count, count, found.result.toText())
        }
        // The text changes with each frame: only how much there is, is spoken, and the button holds on to it.
        if (spoken.due(count, SystemClock.elapsedRealtime())) {
            status.announceForAccessibility(resources.getQuantityString(R.plurals.camera_count, count, count))
        }
    }

    private fun frameFailed(error: Throwable) {
        if (camera == null) return
        say(Messages.of(this, error))
        goOn()
    }

    private val surface = object : TextureView.SurfaceTextureListener {
        override fun onSurfaceTextureAvailable(made: SurfaceTexture, width: Int, height: Int) {
            texture = made
            start()
        }

        override fun onSurfaceTextureSizeChanged(made: SurfaceTexture, width: Int, height: Int) = place()

        override fun onSurfaceTextureDestroyed(made: SurfaceTexture): Boolean {
            texture = null
            return true
        }

        override fun onSurfaceTextureUpdated(made: SurfaceTexture) = Unit
    }

    /** From one landscape to the other nothing else says that the display was turned. */
    private val displayed = object : DisplayManager.DisplayListener {
        override fun onDisplayChanged(id: Int) = place()

        override fun onDisplayAdded(id: Int) = Unit

        override fun onDisplayRemoved(id: Int) = Unit
    }

    /** How the device is held, also while its display is locked in one rotation. */
    private val held by lazy {
        object : OrientationEventListener(this) {
            override fun onOrientationChanged(angle: Int) {
                turn.sensed(angle)
                hold()
            }
        }
    }

    /** Says that another app has given the camera back. */
    private val available = object : CameraManager.AvailabilityCallback() {
        override fun onCameraAvailable(id: String) {
            if (id != facts?.id) return
            if (leaving == null) retry() else freed = true
        }
    }

    companion object {
        private const val LIVE = "live"
        private const val DENIED = "denied_for_good"

        /** Twelve megapixels: small print is sharp, and every budget has room for it. */
        private const val PHOTO_PIXELS = 12_000_000

        /** Between two counts that are spoken. */
        private const val SPEAK_MILLIS = 3000L

        /** Returns an intent that opens the camera; [live] reads frames too. */
        fun intent(context: Context, live: Boolean): Intent =
            Intent(context, CameraActivity::class.java).putExtra(LIVE, live)
    }
}

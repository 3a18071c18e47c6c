package org.edgekit.ocr.app

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.graphics.Rect
import android.graphics.SurfaceTexture
import android.hardware.Sensor
import android.hardware.SensorManager
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.hardware.camera2.CaptureResult
import android.media.Image
import android.os.Bundle
import android.os.Looper
import android.provider.Settings
import android.view.MotionEvent
import android.view.View
import android.view.accessibility.AccessibilityEvent
import android.view.accessibility.AccessibilityManager
import java.time.Duration
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNotSame
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrLine
import org.edgekit.ocr.OcrResult
import org.junit.After
import org.junit.Before
import org.junit.runner.RunWith
import org.opencv.core.Core
import org.opencv.core.MatOfByte
import org.opencv.imgcodecs.Imgcodecs
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.shadows.SensorEventBuilder
import org.robolectric.shadows.ShadowSensor
import org.robolectric.shadows.ShadowSystemClock

/** The camera's screen with a camera that the test plays: what is asked of it, and what its answers lead to. */
@RunWith(RobolectricTestRunner::class)
@Config(shadows = [ShadowMetadata::class, ShadowRequestBuilder::class, ShadowAnswer::class, ShadowSession::class])
class CameraTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication
    private val manager get() = shadowOf(app.getSystemService(CameraManager::class.java))
    private var screen: ActivityController<CameraActivity>? = null

    @Before
    fun reset() = ShadowSession.reset()

    @After
    fun end() {
        val last = screen ?: return
        if (!last.get().isDestroyed) last.pause().stop().destroy()
        // A photo that the test left on its way.
        ShadowSystemClock.advanceBy(Duration.ofSeconds(2))
        waitFor("the end of the camera", 30) { ShadowSession.closings > 0 }
    }

    private fun open(live: Boolean = false): CameraActivity {
        shadowOf(app).grantPermissions(Manifest.permission.CAMERA)
        val made = Robolectric.buildActivity(CameraActivity::class.java, CameraActivity.intent(app, live)).setup()
        screen = made
        made.get().surface()
        return made.get()
    }

    private fun Activity.click(id: Int) = findViewById<View>(id).performClick()

    private fun idle() = shadowOf(Looper.getMainLooper()).idle()

    /** Waits for a capture that [fits] and takes it out. */
    private fun capture(what: String, fits: (Asked) -> Boolean): Asked {
        waitFor(what, 30) { ShadowSession.captures.any(fits) }
        return ShadowSession.captures.first(fits).also { ShadowSession.captures.remove(it) }
    }

    private fun trigger() = capture("a trigger") {
        it[CaptureRequest.CONTROL_AF_TRIGGER] == CaptureRequest.CONTROL_AF_TRIGGER_START
    }

    private fun still() = capture("a photo") { it[CaptureRequest.JPEG_ORIENTATION] != null }

    private fun noStill() {
        Thread.sleep(50)
        assertTrue(ShadowSession.captures.none { it[CaptureRequest.JPEG_ORIENTATION] != null })
    }

    private fun opened(screen: Activity): List<Intent> = generateSequence { shadowOf(screen).nextStartedActivity }
        .filter { it.component?.className == ResultActivity::class.java.name }.toList()

    @Test
    fun `the models are opened while the user aims`() {
        needsBundle()
        addCamera()
        open()
        waitFor("the models") { app.reader.isOpen }
    }

    @Test
    fun `a photo is taken when the lens has settled, and the lens is free again after it`() {
        addCamera()
        val screen = open()
        assertEquals(CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE, ShadowSession.repeating.last()[CaptureRequest.CONTROL_AF_MODE])
        screen.click(R.id.shutter)
        assertFalse(screen.enabled(R.id.shutter))
        val trigger = trigger()
        trigger.answer(CaptureResult.CONTROL_AF_STATE_ACTIVE_SCAN)
        noStill()
        ShadowSession.repeating.last().answer(CaptureResult.CONTROL_AF_STATE_FOCUSED_LOCKED)
        val still = still()
        assertEquals(90, still[CaptureRequest.JPEG_ORIENTATION])
        still.fail()
        capture("the end of the lock") {
            it[CaptureRequest.CONTROL_AF_TRIGGER] == CaptureRequest.CONTROL_AF_TRIGGER_CANCEL
        }
        waitFor("the button", 30) { screen.enabled(R.id.shutter) }
        assertEquals(screen.getString(R.string.camera_photo_failed), screen.text(R.id.camera_status))
    }

    @Test
    fun `a camera that never says that it is sharp takes the photo after a second`() {
        addCamera()
        open().click(R.id.shutter)
        trigger().answer(CaptureResult.CONTROL_AF_STATE_ACTIVE_SCAN)
        noStill()
        ShadowSystemClock.advanceBy(Duration.ofMillis(1000))
        still()
    }

    @Test
    fun `a lens that cannot move is not waited for`() {
        addCamera(CameraCharacteristics.LENS_INFO_MINIMUM_FOCUS_DISTANCE to 0f)
        open().click(R.id.shutter)
        assertNull(still()[CaptureRequest.CONTROL_AF_MODE])
    }

    @Test
    fun `a tap makes a place sharp and a photo keeps it`() {
        addCamera()
        val screen = open()
        val overlay = screen.findViewById<View>(R.id.boxes)
        tap(overlay, overlay.width / 2f, overlay.height / 2f)
        val trigger = trigger()
        assertEquals(CaptureRequest.CONTROL_AF_MODE_AUTO, trigger[CaptureRequest.CONTROL_AF_MODE])
        val region = assertNotNull(trigger[CaptureRequest.CONTROL_AF_REGIONS]?.single()).rect
        assertEquals(2000 to 1500, region.centerX() to region.centerY())
        trigger.answer(CaptureResult.CONTROL_AF_STATE_FOCUSED_LOCKED)
        screen.click(R.id.shutter)
        assertEquals(CaptureRequest.CONTROL_AF_MODE_AUTO, still()[CaptureRequest.CONTROL_AF_MODE])
        assertTrue(ShadowSession.captures.none { it[CaptureRequest.CONTROL_AF_TRIGGER] != null }, "the lens was locked")
    }

    private fun tap(view: View, x: Float, y: Float) {
        for (action in listOf(MotionEvent.ACTION_DOWN, MotionEvent.ACTION_UP)) {
            val event = MotionEvent.obtain(0, 10, action, x, y, 0)
            view.dispatchTouchEvent(event)
            event.recycle()
        }
    }

    @Test
    fun `the light is offered where there is one, and burns for the preview and the photo`() {
        addCamera()
        val screen = open()
        assertTrue(screen.shows(R.id.torch))
        val torch = screen.findViewById<View>(R.id.torch)
        assertEquals(screen.getString(R.string.camera_torch_on), torch.contentDescription)
        torch.performClick()
        assertEquals(screen.getString(R.string.camera_torch_off), torch.contentDescription)
        val lit = { asked: Asked -> asked[CaptureRequest.FLASH_MODE] == CaptureRequest.FLASH_MODE_TORCH }
        waitFor("the light", 30) { lit(ShadowSession.repeating.last()) }
        screen.click(R.id.shutter)
        trigger().answer(CaptureResult.CONTROL_AF_STATE_FOCUSED_LOCKED)
        assertTrue(lit(still()))
        assertTrue(assertNotNull(this.screen).pause().resume().get().findViewById<View>(R.id.torch).isActivated.not())
    }

    @Test
    fun `a camera without a light offers none`() {
        addCamera(CameraCharacteristics.FLASH_INFO_AVAILABLE to false)
        assertFalse(open().shows(R.id.torch))
    }

    @Test
    fun `the zoom goes by ratio where the camera knows one, by its area elsewhere, and never too far`() {
        val facts = { ratio: Boolean ->
            CameraFacts("0", 90, false, android.util.Size(1280, 960), android.util.Size(4000, 3000), null, false, false, false, Rect(0, 0, 4000, 3000), ratio, 4f)
        }
        val aim = CameraAim(facts(false))
        aim.zoom *= 2f
        assertEquals(Rect(1000, 750, 3000, 2250), aim.visible)
        aim.zoom *= 100f
        assertEquals(4f, aim.zoom)
        aim.zoom *= 0.01f
        assertEquals(Rect(0, 0, 4000, 3000), aim.visible)
        assertEquals(Rect(0, 0, 4000, 3000), CameraAim(facts(true)).apply { zoom = 2f }.visible)
    }

    @Test
    fun `a photo is upright as the device is held, whatever the display does`() {
        addCamera()
        val sensors = shadowOf(app.getSystemService(SensorManager::class.java))
        val sensor = ShadowSensor.newInstance(Sensor.TYPE_ACCELEROMETER)
        sensors.addSensor(sensor)
        val screen = open()
        // Gravity along x and y of the device; the display stays at its natural rotation.
        for ((x, y, degrees) in listOf(Triple(0f, 9.8f, 90), Triple(-9.8f, 0f, 180), Triple(0f, -9.8f, 270), Triple(9.8f, 0f, 0))) {
            val event = SensorEventBuilder.newBuilder().setSensor(sensor).setValues(floatArrayOf(x, y, 0f)).build()
            sensors.sendSensorEventToListeners(event)
            screen.click(R.id.shutter)
            trigger().answer(CaptureResult.CONTROL_AF_STATE_FOCUSED_LOCKED)
            val still = still()
            assertEquals(degrees, still[CaptureRequest.JPEG_ORIENTATION], "$x, $y")
            still.fail()
            waitFor("the button", 30) { screen.enabled(R.id.shutter) }
        }
        assertNotNull(this.screen).pause()
        assertTrue(sensors.listeners.isEmpty(), "the sensor runs on in the background")
    }

    private fun otherCamera(listener: CameraListener) = Camera(facts(), SurfaceTexture(0), false, listener)

    private fun facts() = assertNotNull(CameraFacts.find(app.getSystemService(CameraManager::class.java), 12_000_000))

    @Test
    fun `what an old camera says does not end the new one`() {
        addCamera()
        val screen = open()
        val old = otherCamera(screen)
        screen.failed(old)
        screen.photoFailed(old)
        screen.closed(old)
        idle()
        assertTrue(screen.enabled(R.id.shutter))
        assertEquals(screen.getString(R.string.camera_aim), screen.text(R.id.camera_status))
        old.close()
    }

    @Test
    fun `a camera that is being closed says nothing but that it is`() {
        addCamera()
        val said = CopyOnWriteArrayList<String>()
        val camera = otherCamera(Noted(said))
        camera.open(app)
        waitFor("the camera", 30) { "ready" in said }
        camera.shoot(0)
        trigger()
        camera.close()
        still()
        assertEquals(0, ShadowSession.closed, "the photo is on its way")
        manager.triggerDisconnect()
        waitFor("the end", 30) { "closed" in said }
        assertEquals(listOf("ready", "closed"), said)
    }

    @Test
    fun `a photo on its way is waited for, but not without end`() {
        addCamera()
        val said = CopyOnWriteArrayList<String>()
        val camera = otherCamera(Noted(said))
        camera.open(app)
        waitFor("the camera", 30) { "ready" in said }
        camera.shoot(0)
        trigger().answer(CaptureResult.CONTROL_AF_STATE_FOCUSED_LOCKED)
        still()
        camera.close()
        Thread.sleep(50)
        assertEquals(listOf("ready"), said)
        ShadowSystemClock.advanceBy(Duration.ofMillis(2000))
        waitFor("the end", 30) { "closed" in said }
        assertEquals(1, ShadowSession.closed)
    }

    private class Noted(private val said: MutableList<String>) : CameraListener {
        override fun frame(image: Image) = image.close()

        override fun photo(jpeg: ByteArray) {
            said.add("photo")
        }

        override fun ready(camera: Camera) {
            said.add("ready")
        }

        override fun failed(camera: Camera) {
            said.add("failed")
        }

        override fun photoFailed(camera: Camera) {
            said.add("photoFailed")
        }

        override fun closed(camera: Camera) {
            said.add("closed")
        }
    }

    @Test
    fun `a camera that was taken away is tried again by the user, and when it comes back`() {
        addCamera()
        val screen = open()
        for (again in listOf({ screen.click(R.id.camera_action); Unit }, { comesBack() })) {
            manager.triggerDisconnect()
            waitFor("the failure", 30) { screen.shows(R.id.camera_action) }
            assertEquals(screen.getString(R.string.camera_failed), screen.text(R.id.camera_status))
            assertEquals(screen.getString(R.string.camera_again), screen.text(R.id.camera_action))
            assertFalse(screen.enabled(R.id.shutter))
            // The failed camera may still be on its way out.
            again()
            waitFor("the camera", 30) { screen.enabled(R.id.shutter) }
            assertFalse(screen.shows(R.id.camera_action))
        }
    }

    private fun comesBack() {
        manager.removeCamera("0")
        addCamera()
    }

    @Test
    fun `a turned device keeps its camera`() {
        addCamera()
        val screen = open()
        RuntimeEnvironment.setQualifiers("+w891dp-h411dp-land")
        val controller = assertNotNull(this.screen)
        controller.configurationChange()
        assertSame(screen, controller.get())
        assertEquals(0, ShadowSession.closed)
        assertTrue(screen.enabled(R.id.shutter))
    }

    @Test
    fun `a photo that comes after Home is opened when the user is back`() {
        addCamera()
        val screen = open()
        val controller = assertNotNull(this.screen)
        controller.pause().stop()
        screen.photo(ByteArray(9))
        idle()
        assertEquals(0, opened(screen).size)
        controller.start().resume()
        val id = assertNotNull(opened(screen).singleOrNull()).getStringExtra("session")
        assertNotNull(app.sessions.find(assertNotNull(id)))
        controller.pause().stop().start()
        assertEquals(0, opened(screen).size, "once is enough")
    }

    @Test
    fun `a photo that lands while the screen is made anew is shown by the new one`() {
        addCamera()
        val old = open()
        assertNotNull(screen).recreate()
        val new = assertNotNull(screen).get()
        assertNotSame(old, new)
        old.photo(ByteArray(9))
        idle()
        assertTrue(old.isDestroyed)
        assertEquals(1, opened(new).size)
    }

    @Test
    fun `the permission is asked for by the button, and the settings are for a final no`() {
        addCamera()
        val made = Robolectric.buildActivity(CameraActivity::class.java).setup()
        val screen = made.get()
        assertEquals(screen.getString(R.string.camera_permission), screen.text(R.id.camera_status))
        val first = asked(screen)
        assertNotNull(first)
        answer(screen, rationale = true)
        assertEquals(screen.getString(R.string.camera_allow), screen.text(R.id.camera_action))
        screen.click(R.id.camera_action)
        assertNotSame(first, asked(screen))
        answer(screen, rationale = false)
        assertEquals(screen.getString(R.string.camera_permission_settings), screen.text(R.id.camera_status))
        made.recreate()
        made.get().click(R.id.camera_action)
        assertEquals(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, shadowOf(made.get()).nextStartedActivity.action)
    }

    @Test
    fun `a permission for this time only is asked for again by the button`() {
        // The system has ended the process: the state is there, the permission is not.
        addCamera()
        val screen = Robolectric.buildActivity(CameraActivity::class.java).setup(Bundle()).get()
        assertNull(asked(screen))
        assertEquals(screen.getString(R.string.camera_allow), screen.text(R.id.camera_action))
        screen.click(R.id.camera_action)
        assertNotNull(asked(screen))
        shadowOf(app).grantPermissions(Manifest.permission.CAMERA)
        screen.onRequestPermissionsResult(0, arrayOf(Manifest.permission.CAMERA), intArrayOf(PackageManager.PERMISSION_GRANTED))
        screen.surface()
        assertFalse(screen.shows(R.id.camera_action))
    }

    private fun answer(screen: CameraActivity, rationale: Boolean) {
        shadowOf(app.packageManager).setShouldShowRequestPermissionRationale(Manifest.permission.CAMERA, rationale)
        screen.onRequestPermissionsResult(0, arrayOf(Manifest.permission.CAMERA), intArrayOf(PackageManager.PERMISSION_DENIED))
    }

    /** The system's question that was put last, null when none was. */
    private fun asked(screen: Activity): Any? = shadowOf(screen).lastRequestedPermission

    @Test
    fun `the display stays lit and the stream of texts is not spoken`() {
        addCamera()
        val manager = app.getSystemService(AccessibilityManager::class.java)
        shadowOf(manager).setEnabled(true)
        val screen = open(live = true)
        assertTrue(screen.findViewById<View>(R.id.camera_frame).keepScreenOn)
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_NONE, screen.findViewById<View>(R.id.camera_status).accessibilityLiveRegion)
        val before = announced()
        for (lines in listOf(3, 3, 4, 3, 4)) screen.say(lines)
        assertEquals(listOf(screen.resources.getQuantityString(R.plurals.camera_count, 3, 3)), announced() - before)
        ShadowSystemClock.advanceBy(Duration.ofSeconds(3))
        screen.say(4)
        assertEquals(screen.resources.getQuantityString(R.plurals.camera_count, 4, 4), announced().last())
    }

    private fun announced(): List<String> = shadowOf(app.getSystemService(AccessibilityManager::class.java))
        .sentAccessibilityEvents.filter { it.eventType == AccessibilityEvent.TYPE_ANNOUNCEMENT }.map { it.text.joinToString() }

    private fun CameraActivity.say(lines: Int) {
        val line = OcrLine(intArrayOf(0, 0, 9, 0, 9, 5, 0, 5), 0.9, "text", 0.9)
        show(LiveResult(OcrResult(List(lines) { line }, emptyMap(), 1280, 960), 90))
        idle()
    }

    @Test
    fun `the frame whose text is shown can be kept and is read as a picture`() {
        needsBundle()
        app.loadOpenCv()
        addCamera()
        val screen = open(live = true)
        assertFalse(screen.enabled(R.id.freeze))
        val sign = Imgcodecs.imdecode(MatOfByte(*regressionImage("street_sign.png")), Imgcodecs.IMREAD_COLOR)
        waitFor("a frame", 30) { screen.frames.offer(0) { sign.clone() } }
        waitFor("its text", 30) { screen.enabled(R.id.freeze) }
        assertTrue(expectedOf("street_sign.png").texts.first() in screen.text(R.id.camera_status))
        val overlay = screen.findViewById<View>(R.id.boxes)
        tap(overlay, 100f, 100f)
        assertFalse(screen.enabled(R.id.shutter))
        waitFor("the picture", 30) { shadowOf(screen).peekNextStartedActivity() != null }
        val session = assertNotNull(app.sessions.find(assertNotNull(opened(screen).single().getStringExtra("session"))))
        val kept = Imgcodecs.imread(session.source.path)
        assertEquals(0.0, Core.norm(sign, kept, Core.NORM_INF))
        assertFalse(screen.frames.offer(0) { throw AssertionError("a frame after the last") })
    }
}

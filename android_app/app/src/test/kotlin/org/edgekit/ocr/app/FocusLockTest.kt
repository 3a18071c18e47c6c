package org.edgekit.ocr.app

import kotlin.test.Test
import kotlin.test.assertEquals
import org.edgekit.ocr.app.FocusLock.Step.NOTHING
import org.edgekit.ocr.app.FocusLock.Step.SHOOT
import org.edgekit.ocr.app.FocusLock.Step.TRIGGER

class FocusLockTest {
    private val focus = FocusLock(canFocus = true)

    @Test
    fun `a photo waits until the lens has settled`() {
        assertEquals(TRIGGER, focus.photo(0))
        assertEquals(NOTHING, focus.answered(locked = false, toTrigger = true, now = 30))
        assertEquals(NOTHING, focus.answered(locked = false, toTrigger = false, now = 500))
        assertEquals(SHOOT, focus.answered(locked = true, toTrigger = false, now = 533))
        assertEquals(NOTHING, focus.answered(locked = true, toTrigger = false, now = 566), "once is enough")
        focus.free()
        assertEquals(TRIGGER, focus.photo(1000), "the next photo is focused anew")
    }

    @Test
    fun `an answer to the trigger itself can say that the lens is locked`() {
        focus.photo(0)
        assertEquals(SHOOT, focus.answered(locked = true, toTrigger = true, now = 30))
    }

    @Test
    fun `what the camera says from before the trigger does not count`() {
        focus.photo(0)
        assertEquals(NOTHING, focus.answered(locked = true, toTrigger = false, now = 10))
        assertEquals(NOTHING, focus.answered(locked = false, toTrigger = true, now = 40))
        assertEquals(SHOOT, focus.answered(locked = true, toTrigger = false, now = 70))
    }

    @Test
    fun `after a second the photo is taken in any case, with answers or without`() {
        focus.photo(100)
        assertEquals(NOTHING, focus.overdue(1099))
        assertEquals(SHOOT, focus.overdue(1100))
        assertEquals(NOTHING, focus.overdue(2200))
        focus.free()
        focus.photo(5000)
        assertEquals(SHOOT, focus.answered(locked = false, toTrigger = true, now = 6000))
    }

    @Test
    fun `a lens that cannot move is never waited for`() {
        val fixed = FocusLock(canFocus = false)
        assertEquals(NOTHING, fixed.point())
        assertEquals(SHOOT, fixed.photo(0))
        assertEquals(NOTHING, fixed.overdue(5000))
    }

    @Test
    fun `what the user pointed at stays sharp for the photo`() {
        assertEquals(TRIGGER, focus.point())
        assertEquals(NOTHING, focus.photo(0), "the lens is moving there already")
        assertEquals(NOTHING, focus.point(), "a photo on its way keeps its lens")
        focus.answered(locked = false, toTrigger = true, now = 30)
        assertEquals(SHOOT, focus.answered(locked = true, toTrigger = false, now = 300))
        focus.free()
        focus.point()
        assertEquals(NOTHING, focus.answered(locked = true, toTrigger = true, now = 400))
        assertEquals(SHOOT, focus.photo(500))
    }
}

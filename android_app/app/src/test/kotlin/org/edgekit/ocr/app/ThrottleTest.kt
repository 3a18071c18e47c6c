package org.edgekit.ocr.app

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

class ThrottleTest {
    @Test
    fun `a number is spoken when it has changed, and not too soon`() {
        val throttle = Throttle(3000)
        assertFalse(throttle.due(0, 0), "nothing was found, as before")
        assertTrue(throttle.due(3, 100))
        assertFalse(throttle.due(3, 200))
        assertFalse(throttle.due(4, 3099))
        assertTrue(throttle.due(4, 3100), "a change is made up for")
        assertFalse(throttle.due(4, 9000))
    }

    @Test
    fun `thirty frames a second with changing numbers are spoken once in a while`() {
        val throttle = Throttle(3000)
        val spoken = (0 until 900).count { throttle.due(it % 7, it * 33L) }
        assertEquals(10, spoken)
    }

    @Test
    fun `what fails again and again is not tried without end`() {
        val retries = Retries(most = 3, span = 30_000)
        assertEquals(3, (0L until 1000).count { retries.take(it) })
        assertFalse(retries.take(29_999))
        assertTrue(retries.take(30_000))
    }

    @Test
    fun `a photo that comes while no screen is there waits for the next`() {
        val inbox = PhotoInbox()
        val opened = ArrayList<String>()
        inbox.put("1")
        val first: (String) -> Unit = { opened.add("first $it") }
        val second: (String) -> Unit = { opened.add("second $it") }
        inbox.listen(first)
        assertEquals(listOf("first 1"), opened)
        inbox.listen(second)
        inbox.leave(first)
        inbox.put("2")
        inbox.leave(second)
        inbox.put("3")
        assertEquals(listOf("first 1", "second 2"), opened)
        inbox.listen(first)
        assertEquals(listOf("first 1", "second 2", "first 3"), opened)
    }
}

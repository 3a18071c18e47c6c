package org.edgekit.ocr.app

import android.app.ApplicationExitInfo
import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.junit.Rule
import org.junit.rules.TemporaryFolder

class CrashMarkerTest {
    @get:Rule
    val folder = TemporaryFolder()
    private val file by lazy { File(folder.root, "inside/marker") }

    @Test
    fun `it is there while the work runs and gone after it, or after an exception`() {
        val marker = CrashMarker(file)
        assertEquals(7, marker.during(12) { if (file.readText() == "12") 7 else 0 })
        assertFailsWith<IllegalStateException> { marker.during(12) { error("a model that does not load") } }
        assertFalse(file.exists())
        assertNull(marker.take(0))
    }

    @Test
    fun `what an ended process left is found once`() {
        file.parentFile?.mkdirs()
        for ((left, pid) in listOf("4711" to 4711, "" to CrashMarker.UNKNOWN, "x" to CrashMarker.UNKNOWN)) {
            file.writeText(left)
            assertEquals(pid, CrashMarker(file).take(0))
            assertNull(CrashMarker(file).take(0))
        }
    }

    @Test
    fun `what was left before the app was installed anew does not count`() {
        file.parentFile?.mkdirs()
        file.writeText("4711")
        file.setLastModified(1_000_000)
        assertNull(CrashMarker(file).take(2_000_000))
        assertFalse(file.exists())
    }

    @Test
    fun `a storage that takes no marker does not stop the work`() {
        folder.root.resolve("inside").writeText("a file in the folder's place")
        assertEquals(7, CrashMarker(file).during(12) { 7 })
    }

    @Test
    fun `who is ended from outside has not crashed`() {
        val own = listOf(
            ApplicationExitInfo.REASON_CRASH_NATIVE, ApplicationExitInfo.REASON_CRASH, ApplicationExitInfo.REASON_ANR,
            ApplicationExitInfo.REASON_EXIT_SELF, ApplicationExitInfo.REASON_UNKNOWN,
        )
        for (reason in own) assertTrue(ProcessEnd.byItself(reason, 0), "$reason")
        assertTrue(ProcessEnd.byItself(ApplicationExitInfo.REASON_SIGNALED, 6), "SIGABRT")
        assertFalse(ProcessEnd.byItself(ApplicationExitInfo.REASON_SIGNALED, 9), "SIGKILL")
        for (reason in listOf(ApplicationExitInfo.REASON_LOW_MEMORY, ApplicationExitInfo.REASON_USER_REQUESTED)) {
            assertFalse(ProcessEnd.byItself(reason, 0), "$reason")
        }
    }
}

package org.edgekit.ocr.app

import java.io.ByteArrayInputStream
import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.edgekit.ocr.BundleException
import org.edgekit.ocr.OcrLine
import org.edgekit.ocr.OcrResult
import org.junit.Rule
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner

@RunWith(RobolectricTestRunner::class)
class StoreTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val reading = Reading(
        OcrResult(
            listOf(OcrLine(intArrayOf(1, 2, 30, 2, 30, 9, 1, 9), 0.75, "利民 \"a\"\n", 0.5)),
            mapOf("det_pre" to 0.25, "total" to 1.5), 40, 20,
        ),
        ENGINE_OPENCV, 80, 40, 90,
    )

    @Test
    fun `a kept result comes back as it was`() {
        val store = SessionStore(folder.root)
        val session = store.create()
        session.keep(reading)
        assertEquals(reading, store.find(session.id)?.reading)
        assertEquals(session.id, store.lastRead()?.id)
        assertTrue(reading.reduced)
    }

    @Test
    fun `a damaged result is none`() {
        val store = SessionStore(folder.root)
        val session = store.create()
        session.keep(reading)
        val file = File(File(folder.root, session.id), "reading.json")
        file.writeText(file.readText().dropLast(20))
        assertNull(store.find(session.id)?.reading)
        assertNull(store.lastRead())
    }

    @Test
    fun `a picture is turned by quarters, and what was read of it before is forgotten`() {
        val store = SessionStore(folder.root)
        val session = store.create()
        session.import(ByteArrayInputStream(ByteArray(20)))
        session.preview.writeBytes(ByteArray(5))
        val turns = List(5) {
            session.keep(reading)
            session.turn()
            assertNull(session.reading)
            store.find(session.id)?.degrees
        }
        assertEquals(listOf<Int?>(90, 180, 270, 0, 90), turns)
        assertEquals(20, session.source.length())
        assertFalse(session.preview.exists())
        for (damaged in listOf("", "45", "ninety")) {
            File(session.source.parentFile, "degrees").writeText(damaged)
            assertEquals(0, session.degrees)
        }
        assertEquals(0, Reading.parse(reading.toJson().replace("\"degrees\":90", "\"other\":1")).degrees)
    }

    @Test
    fun `only the last few are kept and others cannot be asked for`() {
        val store = SessionStore(folder.root)
        val ids = List(8) { store.create().id }
        assertNull(store.find(ids[0]))
        assertEquals(ids.last(), store.find(ids.last())?.id)
        for (id in listOf("..", "../shared_prefs", "", "/")) assertNull(store.find(id))
        assertTrue(folder.root.list().orEmpty().size <= 6)
    }

    @Test
    fun `a stream without end is refused and leaves nothing`() {
        val session = SessionStore(folder.root).create()
        assertFailsWith<PictureTooLarge> { session.import(ByteArrayInputStream(ByteArray(2000)), limit = 1000) }
        assertFalse(session.source.exists())
        assertEquals(0, folder.root.resolve(session.id).list().orEmpty().size)
    }

    @Test
    fun `a damaged list of assets is named`() {
        val whole = """{"files": {"labels.txt": {"sha256": "00", "bytes": 1}}, "has_paddle_lite": false, "opt_version": "v2.14-rc", "recipe": "fp32", "lite_version": null}"""
        val info = BundleInfo.parse(whole)
        assertEquals("00", info.sums["labels.txt"])
        assertNull(info.liteVersion)
        for (bad in listOf("", "{}", whole.dropLast(5), whole.replace("recipe", "recipes"))) {
            assertTrue("assets.json" in assertFailsWith<BundleException> { BundleInfo.parse(bad) }.message.orEmpty())
        }
    }
}

package org.edgekit.ocr.app

import java.io.ByteArrayInputStream
import java.io.File
import java.io.IOException
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
        assertEquals(listOf(session.id), store.all().map { it.id })
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
    }

    private fun picture(store: SessionStore, bytes: Int) = store.create().also { it.import(ByteArray(bytes).inputStream()) }

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
        val store = SessionStore(folder.root, most = 3)
        val ids = List(5) { picture(store, 1).id }
        store.prune(setOf(ids[0]))
        assertEquals(listOf(ids[4], ids[3], ids[2], ids[0]), store.all().map { it.id }, "what is being read stays")
        store.prune(emptySet())
        assertEquals(listOf(ids[4], ids[3], ids[2]), store.all().map { it.id })
        assertNull(store.find(ids[0]))
        for (id in listOf("..", "../shared_prefs", "", "/")) assertNull(store.find(id))
        assertEquals(3, folder.root.list().orEmpty().size)
    }

    @Test
    fun `what is kept has a bound in bytes, and the newest always stays`() {
        val store = SessionStore(folder.root, mostBytes = 1000)
        val ids = listOf(600, 300, 300).map { picture(store, it).id }
        store.prune(emptySet())
        assertEquals(listOf(ids[2], ids[1]), store.all().map { it.id })
        val large = picture(store, 5000).id
        store.prune(emptySet())
        assertEquals(listOf(large), store.all().map { it.id })
    }

    @Test
    fun `a deleted session is gone at once, takes nothing more, and its number never comes again`() {
        val store = SessionStore(folder.root)
        val session = picture(store, 9)
        store.hide(session)
        assertEquals(emptyList(), store.all())
        assertNull(store.find(session.id))
        assertFailsWith<IOException> { session.keep(reading) }
        assertFailsWith<IOException> { session.import(ByteArray(1).inputStream()) }
        assertTrue(store.create().id > session.id)
        store.sweep()
        assertEquals(1, folder.root.list().orEmpty().size)
    }

    @Test
    fun `a session whose picture never came goes after an hour`() {
        val store = SessionStore(folder.root)
        val (old, young) = store.create() to store.create()
        assertTrue(folder.root.resolve(old.id).setLastModified(System.currentTimeMillis() - 2 * 3_600_000))
        store.prune(emptySet())
        assertEquals(listOf(young.id), folder.root.list().orEmpty().toList())
        assertEquals(emptyList(), store.all())
        assertEquals(listOf(young.id), store.all(setOf(young.id)).map { it.id })
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
        val complete = """{"files": {"labels.txt": {"sha256": "00", "bytes": 1}}, "has_paddle_lite": false, "opt_version": "v2.14-rc", "recipe": "fp32", "lite_version": null}"""
        val info = BundleInfo.parse(complete)
        assertEquals("00", info.sums["labels.txt"])
        assertNull(info.liteVersion)
        for (bad in listOf("", "{}", complete.dropLast(5), complete.replace("recipe", "recipes"))) {
            assertTrue("assets.json" in assertFailsWith<BundleException> { BundleInfo.parse(bad) }.message.orEmpty())
        }
    }
}

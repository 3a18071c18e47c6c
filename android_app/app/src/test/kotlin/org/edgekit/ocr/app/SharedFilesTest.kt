package org.edgekit.ocr.app

import java.io.File
import java.io.IOException
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import org.junit.Rule
import org.junit.rules.TemporaryFolder

class SharedFilesTest {
    @get:Rule
    val folder = TemporaryFolder()

    @Test
    fun `a shared file is found by its name and nothing else is`() {
        File(folder.root, "secret.json").writeText("{}")
        val files = SharedFiles(File(folder.root, "shared"))
        files.put("text-1.json", "{}".toByteArray())
        assertEquals("{}", files.find("text-1.json")?.readText())
        for (name in listOf(null, "", "text-2.json", "../secret.json", "..", "/", "text-1.json/..", "text-1.txt")) {
            assertNull(files.find(name), "$name")
        }
        assertFailsWith<IOException> { files.put("../secret.json", ByteArray(0)) }
    }

    @Test
    fun `files of an hour ago go with the next one`() {
        val files = SharedFiles(folder.root)
        files.put("old.json", ByteArray(1))
        files.put("young.json", ByteArray(1))
        File(folder.root, "old.json").setLastModified(System.currentTimeMillis() - 2 * 3_600_000)
        files.put("new.json", ByteArray(1))
        assertEquals(listOf("new.json", "young.json"), folder.root.list().orEmpty().sorted())
    }
}

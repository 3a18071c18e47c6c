package org.edgekit.ocr

import java.io.ByteArrayInputStream
import java.io.File
import java.io.FileInputStream
import java.io.InputStream
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import org.json.JSONObject
import org.junit.jupiter.api.Assumptions.assumeTrue

class ConformanceTest {
    private val golden = File("../golden")

    init {
        HostOpenCv.load()
        OpenCvVersion.check()
    }

    @Test
    fun `every stage equals Python on the committed golden vectors`() = check(golden)

    @Test
    fun `every stage equals Python on the golden vectors made for this run`() {
        val folder = System.getProperty("edgekit.vectors").orEmpty()
        assumeTrue(folder.isNotEmpty(), "no -Dedgekit.vectors=DIR was given")
        check(File(folder))
    }

    @Test
    fun `an answer that differs is counted and fails the report`() {
        val report = Conformance.run(changed { cases -> with(cases.offset("expected", "points")) {
            put("sha256", "0".repeat(64))
            remove("file")
        } })
        assertFalse(report.passed)
        assertEquals(listOf("points differs"), report.failures.map { it.message })
        assertFalse(report.toJson().getBoolean("passed"))
        assertTrue("random-7/pp-ocrv4/offset: points differs" in report.toText())
    }

    @Test
    fun `a damaged vector is named`() {
        val manifest = JSONObject(File(golden, "manifest.json").readText())
        val file = manifest.offset("inputs", "quads").getString("file")
        val source = object : VectorSource {
            override fun open(name: String): InputStream {
                val bytes = File(golden, name).readBytes()
                return ByteArrayInputStream(if (name == file) ByteArray(bytes.size) else bytes)
            }
        }
        assertReports<BundleException>("the golden vector $file is damaged") { Conformance.run(source) }
    }

    @Test
    fun `a set that is missing, damaged or of another format is refused`() {
        assertReports<BundleException>("cannot be read") { Conformance.run(Folder(File("nowhere"))) }
        assertReports<BundleException>("damaged") { Conformance.run(text("{")) }
        assertReports<BundleException>("another format") { Conformance.run(text("{\"format\": 2}")) }
        assertReports<BundleException>("a stage 'dance'") {
            Conformance.run(changed { it.getJSONArray("cases").getJSONObject(0).put("stage", "dance") })
        }
    }

    @Test
    fun `an empty set does not pass`() {
        val report = Conformance.run(text("{\"format\": 1, \"spec\": \"ocr_spec.json\", \"cases\": []}"))
        assertFalse(report.passed)
    }

    private fun check(folder: File) {
        val report = Conformance.run(Folder(folder))
        println(report.toText())
        assertTrue(report.passed, report.toText())
    }

    private fun JSONObject.offset(part: String, name: String): JSONObject {
        val cases = getJSONArray("cases")
        val case = (0 until cases.length()).map { cases.getJSONObject(it) }.first { it.getString("stage") == "offset" }
        return case.getJSONObject(part).getJSONObject(name)
    }

    private fun changed(change: (JSONObject) -> Unit): VectorSource =
        text(JSONObject(File(golden, "manifest.json").readText()).also(change).toString())

    /** The committed set with another manifest. */
    private fun text(manifest: String) = object : VectorSource {
        override fun open(name: String): InputStream =
            if (name == "manifest.json") manifest.byteInputStream() else File(golden, name).inputStream()
    }
}

/** Golden vectors in a folder. */
class Folder(private val folder: File) : VectorSource {
    override fun open(name: String): InputStream = FileInputStream(File(folder, name))
}

package org.edgekit.ocr

import java.io.File
import java.io.FileInputStream
import java.io.InputStream
import kotlin.test.Test
import kotlin.test.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue

class ConformanceTest {
    init {
        HostOpenCv.load()
        OpenCvVersion.check()
    }

    @Test
    fun `every stage equals Python on the committed golden vectors`() = check(File("../golden"))

    @Test
    fun `every stage equals Python on the golden vectors made for this run`() {
        val folder = System.getProperty("edgekit.vectors").orEmpty()
        assumeTrue(folder.isNotEmpty(), "no -Dedgekit.vectors=DIR was given")
        check(File(folder))
    }

    private fun check(folder: File) {
        val report = Conformance.run(Folder(folder)) { if (it.seconds > 1) println("${it.name}: ${it.seconds} s") }
        println(report.toText())
        assertTrue(report.passed, report.toText())
    }
}

/** Golden vectors in a folder. */
class Folder(private val folder: File) : VectorSource {
    override fun open(name: String): InputStream = FileInputStream(File(folder, name))
}

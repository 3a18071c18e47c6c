package org.edgekit.ocr.lite

import com.baidu.paddle.lite.PowerMode
import com.baidu.paddle.lite.Recorded
import java.io.File
import java.lang.reflect.InvocationTargetException
import java.net.URLClassLoader
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.ModelException
import org.junit.jupiter.api.io.TempDir

/** Against a pretended runtime that stands first on the class path. */
class PaddleLiteEngineTest {
    @TempDir
    lateinit var folder: File
    private val fastCpu = CpuFeatures("Features\t: asimd asimdhp\n")
    private val plainCpu = CpuFeatures("Features\t: asimd\n")

    @BeforeTest
    fun forget() = Recorded.reset()

    private fun engine(
        nb: ByteArray = nbBytes(),
        powerMode: String = "LITE_POWER_LOW",
        version: String = "2.14rc0",
        cpu: CpuFeatures = plainCpu,
    ): PaddleLiteEngine {
        val file = File(folder, "det.nb").apply { writeBytes(nb) }
        return PaddleLiteEngine(file, "paddle_lite det", 3, powerMode, version, cpu)
    }

    @Test
    fun `settings reach the runtime and a tensor comes back`() {
        engine().use { engine ->
            val output = engine.run(floatArrayOf(1f, 2f, 3f, 4f), intArrayOf(1, 1, 2, 2))
            assertContentEquals(floatArrayOf(2f, 4f, 6f, 8f), output.data)
            assertContentEquals(intArrayOf(1, 1, 2, 2), output.shape)
        }
        assertEquals(File(folder, "det.nb").path, Recorded.model)
        assertEquals(3, Recorded.threads)
        assertEquals(PowerMode.LITE_POWER_LOW, Recorded.powerMode)
    }

    @Test
    fun `a model of another version never reaches the runtime`() {
        val error = assertFailsWith<ModelException> { engine(nb = nbBytes(version = "v2.12")) }
        assertTrue("v2.12" in error.message.orEmpty() && "2.14rc0" in error.message.orEmpty())
        assertNull(Recorded.model)
    }

    @Test
    fun `half precision is refused on a core without it and taken on one with it`() {
        val half = nbBytes(kernels = listOf("conv2d/def/4/5/1"))
        assertTrue("fp16" in assertFailsWith<ModelException> { engine(nb = half) }.message.orEmpty())
        assertNull(Recorded.model)
        engine(nb = half, cpu = fastCpu).close()
    }

    @Test
    fun `a model that the runtime refuses is an error of the model`() {
        Recorded.loads = false
        assertFailsWith<ModelException> { engine() }
    }

    @Test
    fun `closing frees the native model at once and only once`() {
        val (det, rec) = engine() to engine()
        assertEquals(2, Recorded.held)
        det.close()
        det.close()
        assertEquals(1, Recorded.held)
        rec.close()
        assertEquals(0, Recorded.held)
    }

    @Test
    fun `an unknown power mode names the known ones`() {
        val error = assertFailsWith<EngineException> { engine(powerMode = "TURBO") }
        assertTrue("LITE_POWER_NO_BIND" in error.hint.orEmpty())
    }

    @Test
    fun `failures of the runtime are typed and NaN is never an answer`() {
        val engine = engine()
        val run = { engine.run(floatArrayOf(1f), intArrayOf(1, 1, 1, 1)) }
        Recorded.runs = false
        assertFailsWith<EngineException> { run() }
        Recorded.runs = true
        Recorded.crash = IllegalStateException("kernel")
        assertTrue("kernel" in assertFailsWith<EngineException> { run() }.message.orEmpty())
        Recorded.crash = null
        Recorded.poison = Float.NaN
        assertFailsWith<EngineException> { run() }
        engine.close()
        assertFailsWith<EngineException> { run() }
        assertFailsWith<EngineException> { engine.run(floatArrayOf(1f), intArrayOf(1, 1, 2, 2)) }
    }

    @Test
    fun `without the runtime the message says that this app has none`() {
        val file = File(folder, "det.nb").apply { writeBytes(nbBytes()) }
        val made = withoutPaddleLite().loadClass(PaddleLiteEngine::class.java.name).constructors.first { it.parameterCount == 6 }
        val cpu = made.parameterTypes[5].getConstructor(String::class.java).newInstance("")
        val error = assertFailsWith<InvocationTargetException> {
            made.newInstance(file, "paddle_lite det", 1, "LITE_POWER_HIGH", "v2.14-rc", cpu)
        }.targetException
        assertEquals(EngineException::class.java.name, error.javaClass.name)
        assertTrue("no Paddle Lite runtime" in error.message.orEmpty(), error.message)
    }

    /** A class loader as an app without the runtime has it: everything of this test but com.baidu. */
    private fun withoutPaddleLite(): ClassLoader {
        val path = System.getProperty("java.class.path").split(File.pathSeparator).map { File(it).toURI().toURL() }
        return object : URLClassLoader(path.toTypedArray(), getSystemClassLoader().parent) {
            override fun findClass(name: String): Class<*> {
                if (name.startsWith("com.baidu.")) throw ClassNotFoundException(name)
                return super.findClass(name)
            }
        }
    }
}

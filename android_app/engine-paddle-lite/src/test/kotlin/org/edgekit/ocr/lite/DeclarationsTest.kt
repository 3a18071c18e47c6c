package org.edgekit.ocr.lite

import com.baidu.paddle.lite.PaddlePredictor
import java.io.File
import java.lang.reflect.Member
import java.lang.reflect.Modifier
import java.net.URLClassLoader
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull

/** What the engine compiles against is declared as Paddle Lite declares it; `declarations.txt` says where that stands. */
class DeclarationsTest {
    private val real = checkNotNull(javaClass.getResource("/declarations.txt")).readText().lines()
        .filter { it.isNotBlank() && !it.startsWith("#") }.toSet()

    @Test
    fun `the declarations are Paddle Lite's own`() {
        val classes = listOf("ConfigBase", "MobileConfig", "PaddlePredictor", "PowerMode", "Tensor")
        val made = classes.flatMap { declared(declarations().loadClass("com.baidu.paddle.lite.$it")) }
        assertEquals(emptyList(), made.filter { it !in real })
    }

    @Test
    fun `the pretended runtime of these tests has what the engine overrides as they have it`() {
        val pretended = declared(PaddlePredictor::class.java)
        for (member in listOf("public PaddlePredictor(ConfigBase)", "protected boolean PaddlePredictor.clear()")) {
            assertNotNull(pretended.find { it == member }, member)
            assertNotNull(real.find { it == member }, member)
        }
    }

    /** The classes of the module paddle-lite-api: on the tests' class path the pretended ones stand before them. */
    private fun declarations(): ClassLoader {
        val place = System.getProperty("java.class.path").split(File.pathSeparator).first { "paddle-lite-api" in it }
        return URLClassLoader(arrayOf(File(place).toURI().toURL()), ClassLoader.getSystemClassLoader().parent)
    }

    private fun declared(type: Class<*>): List<String> {
        val methods = type.declaredMethods.map {
            "${words(it)}${it.returnType.simpleName} ${type.simpleName}.${it.name}(${parameters(it.parameterTypes)})"
        }
        val made = type.declaredConstructors.map { "${words(it)}${type.simpleName}(${parameters(it.parameterTypes)})" }
        return (methods + made).filter { it.startsWith("public ") || it.startsWith("protected ") }.sorted()
    }

    private fun words(member: Member): String {
        val access = member.modifiers and (Modifier.PUBLIC or Modifier.PROTECTED or Modifier.STATIC)
        return if (access == 0) "" else "${Modifier.toString(access)} "
    }

    private fun parameters(types: Array<Class<*>>) = types.joinToString(", ") { it.simpleName }
}

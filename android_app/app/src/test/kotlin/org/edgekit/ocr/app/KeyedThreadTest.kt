package org.edgekit.ocr.app

import java.io.File
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotEquals
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.junit.Assume.assumeTrue

class KeyedThreadTest {
    private val threads = KeyedThread("test")
    private val answers = LinkedBlockingQueue<String>()

    private fun <T : Any> on(key: Any?, work: () -> T): T {
        val results = LinkedBlockingQueue<T>()
        threads.execute({ key }) { results.add(work()) }
        return assertNotNull(results.poll(10, TimeUnit.SECONDS), "no answer")
    }

    @Test
    fun `one key has one thread, another a new one, and no key that of the work before`() {
        val thread = { Thread.currentThread().id }
        val first = on("high", thread)
        assertEquals(first, on("high", thread))
        assertEquals(first, on(null, thread))
        val second = on("low", thread)
        assertNotEquals(first, second)
        assertEquals(second, on(null, thread))
        assertNotEquals(first, on("high", thread))
    }

    @Test
    fun `work runs in order and never two pieces at once`() {
        var running = 0
        for (i in 0 until 20) {
            threads.execute({ i / 3 }) {
                running += 1
                Thread.sleep(2)
                answers.add("$i $running")
                running -= 1
            }
        }
        assertEquals(List(20) { "$it 1" }, List(20) { answers.poll(10, TimeUnit.SECONDS) })
    }

    /** As the kernel does with cores: what a thread is bound to, those that it starts are bound to. */
    @Test
    fun `a thread inherits nothing from that of another key`() {
        val bound = InheritableThreadLocal<String>()
        on("high") { bound.set("big cores") }
        assertEquals("big cores", on("high") { bound.get() })
        assertEquals("nothing", on("low") { bound.get() ?: "nothing" })
    }

    @Test
    fun `the kernel gives the thread of another key all cores again`() {
        val all = on("none", ::cores)
        assumeTrue("one core alone, or no taskset", '-' in all && File("/usr/bin/taskset").exists())
        val bound = on("high") {
            val id = File("/proc/thread-self").canonicalFile.name
            ProcessBuilder("taskset", "-pc", "0", id).redirectErrorStream(true).start().waitFor()
            cores()
        }
        assertEquals("0", bound)
        assertEquals("0", on("high", ::cores), "a bound thread stays so")
        val started = on("high") { LinkedBlockingQueue<String>().also { Thread { it.add(cores()) }.start() } }
        assertEquals("0", started.poll(10, TimeUnit.SECONDS), "and so are those that it starts")
        assertEquals(all, on("low", ::cores))
    }

    private fun cores(): String =
        File("/proc/thread-self/status").readLines().first { it.startsWith("Cpus_allowed_list") }.substringAfter(':').trim()
}

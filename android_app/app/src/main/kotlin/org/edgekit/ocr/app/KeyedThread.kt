package org.edgekit.ocr.app

import java.util.concurrent.ExecutionException
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/**
 * Runs work in order, one piece at a time, each on the thread of its key: another key than before means a new thread.
 *
 * Paddle Lite's power modes bind the thread that runs a model to some cores and never free it again; a thread that a
 * bound one starts is bound likewise. So the thread of each key is started by one that runs no work itself.
 */
class KeyedThread(private val name: String) {
    private val order = Executors.newSingleThreadExecutor { Thread(it, "$name order") }
    private var worker: ExecutorService? = null
    private var key: Any? = null

    /**
     * Runs [work] after everything that was given before. [keyOf] is asked when its turn comes; null stands for the
     * key of the work before. What [work] throws ends the process, as on any thread.
     */
    fun execute(keyOf: () -> Any?, work: () -> Unit) = order.execute {
        try {
            workerOf(keyOf()).submit(work).get()
        } catch (error: ExecutionException) {
            throw error.cause ?: error
        }
    }

    private fun workerOf(wanted: Any?): ExecutorService {
        val present = worker
        if (present != null && (wanted == null || wanted == key)) return present
        present?.shutdown()
        key = wanted
        return Executors.newSingleThreadExecutor { Thread(it, name) }.also { worker = it }
    }
}

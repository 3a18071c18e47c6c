package org.edgekit.ocr.app

import android.content.Intent
import org.edgekit.ocr.EngineException

/** What a self-test is to do: compare only, or measure too, with each of [threads] and [powerModes]. */
data class SelfTestOptions(
    val engine: String?,
    val bench: Boolean,
    val threads: List<Int>,
    val powerModes: List<String>,
    val report: String,
) {
    companion object {
        /** Extra (boolean): start at once. */
        const val RUN = "run"

        /** Extra (text): [VERIFY] or [BENCH]. */
        const val MODE = "mode"

        /** Extra (text): the engine, `opencv` or `paddle_lite`; the chosen one when it lacks. */
        const val ENGINE = "engine"

        /** Extra (text): numbers of threads, with commas between them. */
        const val THREADS = "threads"

        /** Extra (text): power modes in Paddle Lite's words, with commas between them. */
        const val POWER = "power"

        /** Extra (text): the name of the report, letters, digits, `-` and `_` before `.json`. */
        const val REPORT = "report"

        const val VERIFY = "verify"
        const val BENCH = "bench"
        private const val DEFAULT_REPORT = "selftest.json"
        private const val MOST_THREADS = 16
        private val reportName = Regex("[A-Za-z0-9_-]{1,64}\\.json")
        private val powerModeName = Regex("LITE_POWER_[A-Z_]{1,20}")
        private val engines = listOf(ENGINE_OPENCV, ENGINE_PADDLE_LITE)

        /** What the button on the screen starts. */
        val VERIFY_ONLY = SelfTestOptions(null, false, emptyList(), emptyList(), DEFAULT_REPORT)

        /** Reads the extras of [intent]; throws [EngineException] for a value that none of them may have. */
        fun of(intent: Intent): SelfTestOptions = SelfTestOptions(
            engine = intent.getStringExtra(ENGINE)?.also { require(it in engines, ENGINE, it) },
            bench = when (val mode = intent.getStringExtra(MODE) ?: VERIFY) {
                VERIFY -> false
                BENCH -> true
                else -> throw refused(MODE, mode)
            },
            threads = words(intent.getStringExtra(THREADS)).map { threads(it) },
            powerModes = words(intent.getStringExtra(POWER)).onEach { require(powerModeName.matches(it), POWER, it) },
            report = (intent.getStringExtra(REPORT) ?: DEFAULT_REPORT).also {
                require(reportName.matches(it), REPORT, it)
            },
        )

        private fun words(list: String?): List<String> =
            list.orEmpty().split(',').map { it.trim() }.filter { it.isNotEmpty() }.distinct()

        private fun threads(word: String): Int =
            word.toIntOrNull()?.takeIf { it in 1..MOST_THREADS } ?: throw refused(THREADS, word)

        private fun require(fits: Boolean, extra: String, value: String) {
            if (!fits) throw refused(extra, value)
        }

        private fun refused(extra: String, value: String) =
            EngineException("the self-test does not know $extra '$value'", "mend the intent's extras")
    }
}

package org.edgekit.ocr.app

import android.content.Context
import org.edgekit.ocr.RuntimeConfig

const val ENGINE_OPENCV = "opencv"
const val ENGINE_PADDLE_LITE = "paddle_lite"

/** How pictures are read: the engine's name, its threads and power mode, and the longest side for detection. */
data class ReadSettings(val engine: String, val threads: Int, val powerMode: String, val limitSideLen: Int) {
    /** What decides on which cores a thread runs that these settings were used on: see [KeyedThread]. */
    val binding: Any get() = if (engine == ENGINE_PADDLE_LITE) listOf(engine, powerMode, threads) else engine

    companion object {
        /** What the build chose, with OpenCV in place of an engine that the app lacks. */
        fun of(runtime: RuntimeConfig, info: BundleInfo): ReadSettings {
            val engine = if (info.hasPaddleLite) runtime.engine else ENGINE_OPENCV
            return ReadSettings(engine, runtime.threads, runtime.powerMode, runtime.limitSideLen)
        }
    }
}

/**
 * The user's choices, kept over starts; what was not chosen follows the build.
 *
 * [install] changes when the app is installed anew: Paddle Lite that ended one install may run in the next.
 */
class SettingsStore(context: Context, private val install: Long) {
    private val kept = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    /** Whether Paddle Lite ended this install's process, so that OpenCV takes its place. */
    val fellBack: Boolean get() = kept.getLong(FELL_BACK, NEVER) == install

    /** Whether the user has not been notified yet that [fellBack]. */
    val noticeDue: Boolean get() = fellBack && kept.getBoolean(NOTICE, false)

    fun load(bundle: AppBundle): ReadSettings {
        val built = ReadSettings.of(bundle.runtime, bundle.info)
        val engine = kept.getString(ENGINE, null) ?: built.engine
        val withoutLite = fellBack || !bundle.info.hasPaddleLite
        return ReadSettings(
            engine = if (engine == ENGINE_PADDLE_LITE && withoutLite) ENGINE_OPENCV else engine,
            threads = kept.getInt("threads", built.threads),
            powerMode = kept.getString("power_mode", null) ?: built.powerMode,
            limitSideLen = kept.getInt("limit_side_len", built.limitSideLen),
        )
    }

    /** Keeps [settings]; Paddle Lite among them is tried again even where it ended the app. */
    fun save(settings: ReadSettings) {
        val edit = kept.edit()
            .putInt("threads", settings.threads)
            .putString("power_mode", settings.powerMode)
            .putInt("limit_side_len", settings.limitSideLen)
        // OpenCV that only stands in is no choice of the user's.
        if (!fellBack || settings.engine == ENGINE_PADDLE_LITE) edit.putString(ENGINE, settings.engine)
        edit.apply()
        if (settings.engine == ENGINE_PADDLE_LITE) retryLite()
    }

    /** Forgets every choice. */
    fun reset() {
        kept.edit().clear().apply()
    }

    /** Takes note that Paddle Lite ended the process. */
    fun fallBack() {
        // Written at once: the next end may come before anything that waits.
        kept.edit().putLong(FELL_BACK, install).putBoolean(NOTICE, true).commit()
    }

    fun dismissNotice() {
        kept.edit().putBoolean(NOTICE, false).apply()
    }

    /** Lets Paddle Lite run again. */
    fun retryLite() {
        kept.edit().remove(FELL_BACK).remove(NOTICE).apply()
    }

    private companion object {
        const val ENGINE = "engine"
        const val FELL_BACK = "paddle_lite_ended_install"
        const val NOTICE = "paddle_lite_notice"
        const val NEVER = -1L
    }
}

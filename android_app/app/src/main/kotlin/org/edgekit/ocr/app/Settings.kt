package org.edgekit.ocr.app

import android.content.Context
import org.edgekit.ocr.RuntimeConfig

const val ENGINE_OPENCV = "opencv"
const val ENGINE_PADDLE_LITE = "paddle_lite"

/** How pictures are read: the engine's name, its threads and power mode, and the longest side for detection. */
data class ReadSettings(val engine: String, val threads: Int, val powerMode: String, val limitSideLen: Int) {
    companion object {
        /** What the build chose, with OpenCV in place of an engine that the app lacks. */
        fun of(runtime: RuntimeConfig, info: BundleInfo): ReadSettings {
            val engine = if (info.hasPaddleLite) runtime.engine else ENGINE_OPENCV
            return ReadSettings(engine, runtime.threads, runtime.powerMode, runtime.limitSideLen)
        }
    }
}

/** The user's choices, kept over starts; what was not chosen follows the build. */
class SettingsStore(context: Context) {
    private val kept = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    fun load(bundle: AppBundle): ReadSettings {
        val built = ReadSettings.of(bundle.runtime, bundle.info)
        val engine = kept.getString("engine", null) ?: built.engine
        return ReadSettings(
            engine = if (engine == ENGINE_PADDLE_LITE && !bundle.info.hasPaddleLite) ENGINE_OPENCV else engine,
            threads = kept.getInt("threads", built.threads),
            powerMode = kept.getString("power_mode", null) ?: built.powerMode,
            limitSideLen = kept.getInt("limit_side_len", built.limitSideLen),
        )
    }

    fun save(settings: ReadSettings) {
        kept.edit()
            .putString("engine", settings.engine)
            .putInt("threads", settings.threads)
            .putString("power_mode", settings.powerMode)
            .putInt("limit_side_len", settings.limitSideLen)
            .apply()
    }

    /** Forgets every choice. */
    fun reset() {
        kept.edit().clear().apply()
    }
}

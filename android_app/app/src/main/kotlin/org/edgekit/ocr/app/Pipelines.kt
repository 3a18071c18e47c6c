package org.edgekit.ocr.app

import android.os.Process
import java.util.concurrent.CancellationException
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.InferenceEngine
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.OcrProfile
import org.edgekit.ocr.Tensor
import org.edgekit.ocr.lite.PaddleLiteEngine
import org.edgekit.ocr.opencv.OpenCvEngine

/** Is asked before each model is loaded and before each of its runs; it may throw to end the work. */
interface RunWatch {
    fun beforeRun()
}

/** Thrown between two runs of a model when the user cancelled. */
class ReadCancelled : CancellationException("cancelled by the user")

/**
 * Makes pipelines of the bundle's models; each has run on nothing, as often as the device profile says, before it is
 * given out.
 *
 * Paddle Lite does not throw on a model or a device that it cannot cope with: it ends the process. [marker] is set
 * while it loads and first runs, so that the next start knows. [liteEngine] makes its engines.
 */
class Pipelines(
    private val bundle: AppBundle,
    private val marker: CrashMarker,
    private val liteEngine: (String, ReadSettings) -> InferenceEngine = { role, settings ->
        paddleLiteEngine(bundle, role, settings)
    },
) {
    /** Returns a pipeline by [settings]; throws `OcrException` when a part of the bundle does not fit. */
    fun open(settings: ReadSettings, watch: RunWatch): OcrPipeline {
        val profile = bundle.profile(settings.limitSideLen)
        val characters = bundle.characters(profile)
        val engines = if (settings.engine == ENGINE_PADDLE_LITE) {
            marker.during(Process.myPid()) { engines(profile, settings, watch) }
        } else {
            engines(profile, settings, watch)
        }
        return OcrPipeline(profile, engines[0], engines[1], characters, engines.getOrNull(2))
    }

    private fun engines(profile: OcrProfile, settings: ReadSettings, watch: RunWatch): List<InferenceEngine> {
        val opened = ArrayList<InferenceEngine>()
        try {
            for (role in rolesOf(profile.classifier.enabled)) {
                watch.beforeRun()
                opened.add(WatchedEngine(engine(role, settings), watch))
            }
            repeat(bundle.runtime.warmUp.coerceIn(1, MOST_WARM_UP)) {
                for ((engine, shape) in opened.zip(smallInputs(profile))) {
                    engine.run(FloatArray(shape.fold(1) { size, side -> size * side }), shape)
                }
            }
        } catch (error: Throwable) {
            // Memory may lack too, and what was opened holds most of it.
            for (engine in opened) engine.close()
            throw error
        }
        return opened
    }

    /** Inputs [1, 3, h, w] for detector, recogniser and classifier: the first run allocates and packs weights. */
    private fun smallInputs(profile: OcrProfile): List<IntArray> = listOf(
        intArrayOf(1, 3, SMALL_SIDE, SMALL_SIDE),
        intArrayOf(1, 3, profile.recognition.height, profile.recognition.minWidth),
        intArrayOf(1, 3, profile.classifier.height, profile.classifier.width),
    )

    private fun rolesOf(withClassifier: Boolean): List<String> {
        if (withClassifier && bundle.runtime.models.containsKey("cls")) return listOf("det", "rec", "cls")
        return listOf("det", "rec")
    }

    private fun engine(role: String, settings: ReadSettings): InferenceEngine = when (settings.engine) {
        ENGINE_OPENCV -> OpenCvEngine(bundle.onnx(role), "opencv $role", settings.threads)
        ENGINE_PADDLE_LITE -> liteEngine(role, settings)
        else -> throw EngineException("unknown engine '${settings.engine}'", "choose opencv or paddle_lite")
    }

    private companion object {
        /** A multiple of the detector's 32 pixels. */
        const val SMALL_SIDE = 320
        const val MOST_WARM_UP = 3
    }
}

private fun paddleLiteEngine(bundle: AppBundle, role: String, settings: ReadSettings): InferenceEngine {
    if (!bundle.info.hasPaddleLite) {
        throw EngineException("this app holds no Paddle Lite runtime", "choose the OpenCV engine")
    }
    // The build refuses a runtime of another version than opt's, so one that names none has that.
    val version = bundle.info.liteVersion ?: bundle.info.optVersion
    return PaddleLiteEngine(bundle.nb(role), "paddle_lite $role", settings.threads, settings.powerMode, version)
}

private class WatchedEngine(private val engine: InferenceEngine, private val watch: RunWatch) : InferenceEngine {
    override val name: String get() = engine.name

    override fun run(input: FloatArray, shape: IntArray): Tensor {
        watch.beforeRun()
        return engine.run(input, shape)
    }

    override fun close() = engine.close()
}

package org.edgekit.ocr.app

import java.util.concurrent.CancellationException
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.InferenceEngine
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.Tensor
import org.edgekit.ocr.lite.PaddleLiteEngine
import org.edgekit.ocr.opencv.OpenCvEngine

/** Is asked before each run of a model and told after it; [beforeRun] may throw to end the work. */
interface RunWatch {
    fun beforeRun()

    fun afterRun(role: String)
}

/** Thrown between two runs of a model when the user cancelled. */
class ReadCancelled : CancellationException("cancelled by the user")

/** Makes pipelines of the bundle's models. */
class Pipelines(private val bundle: AppBundle) {
    /** Returns a pipeline by [settings]; throws `OcrException` when a part of the bundle does not fit. */
    fun open(settings: ReadSettings, watch: RunWatch): OcrPipeline {
        val profile = bundle.profile(settings.limitSideLen)
        val characters = bundle.characters(profile)
        val opened = ArrayList<InferenceEngine>()
        try {
            for (role in rolesOf(profile.classifier.enabled)) {
                opened.add(WatchedEngine(engine(role, settings), role, watch))
            }
        } catch (error: Exception) {
            for (engine in opened) engine.close()
            throw error
        }
        return OcrPipeline(profile, opened[0], opened[1], characters, opened.getOrNull(2))
    }

    private fun rolesOf(withClassifier: Boolean): List<String> {
        if (withClassifier && bundle.runtime.models.containsKey("cls")) return listOf("det", "rec", "cls")
        return listOf("det", "rec")
    }

    private fun engine(role: String, settings: ReadSettings): InferenceEngine = when (settings.engine) {
        ENGINE_OPENCV -> OpenCvEngine(bundle.onnx(role), "opencv $role", settings.threads)
        ENGINE_PADDLE_LITE -> paddleLite(role, settings)
        else -> throw EngineException("unknown engine '${settings.engine}'", "choose opencv or paddle_lite")
    }

    private fun paddleLite(role: String, settings: ReadSettings): InferenceEngine {
        if (!bundle.info.hasPaddleLite) {
            throw EngineException("this app holds no Paddle Lite runtime", "choose the OpenCV engine")
        }
        // The build refuses a runtime of another version than opt's, so one that names none has that.
        val version = bundle.info.liteVersion ?: bundle.info.optVersion
        return PaddleLiteEngine(bundle.nb(role), "paddle_lite $role", settings.threads, settings.powerMode, version)
    }
}

private class WatchedEngine(
    private val engine: InferenceEngine,
    private val role: String,
    private val watch: RunWatch,
) : InferenceEngine {
    override val name: String get() = engine.name

    override fun run(input: FloatArray, shape: IntArray): Tensor {
        watch.beforeRun()
        return engine.run(input, shape).also { watch.afterRun(role) }
    }

    override fun close() = engine.close()
}

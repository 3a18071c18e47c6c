package org.edgekit.ocr.lite

import com.baidu.paddle.lite.MobileConfig
import com.baidu.paddle.lite.PaddlePredictor
import com.baidu.paddle.lite.PowerMode
import java.io.File
import java.io.IOException
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.InferenceEngine
import org.edgekit.ocr.ModelException
import org.edgekit.ocr.Tensor
import org.edgekit.ocr.checkAnswer
import org.edgekit.ocr.checkInput

/**
 * Paddle Lite on a `.nb` file.
 *
 * The file is checked before the runtime sees it: with another version of opt the runtime warns and crashes later,
 * and half precision on a core without it ends the process. [runtimeVersion] is what the app's Paddle Lite reads.
 * The model comes as a file since the runtime's Java API hands a buffer over as text, which breaks bytes.
 */
class PaddleLiteEngine(
    nb: File,
    override val name: String,
    threads: Int,
    powerMode: String,
    runtimeVersion: String,
    cpu: CpuFeatures = CpuFeatures.ofThisDevice(),
) : InferenceEngine {
    private var predictor: FreeablePredictor? = null

    init {
        checkModel(nb, runtimeVersion, cpu)
        predictor = withRuntime { load(nb, threads, powerMode) }
    }

    @Synchronized
    override fun run(input: FloatArray, shape: IntArray): Tensor {
        checkInput(name, input, shape)
        val predictor = this.predictor ?: throw EngineException("engine $name was closed")
        return checkAnswer(name, withRuntime { answer(predictor, input, shape) })
    }

    // The runtime's own type: calls by the type of this app could not be looked up where the runtime lacks.
    private fun answer(predictor: PaddlePredictor, input: FloatArray, shape: IntArray): Tensor {
        val slot = predictor.getInput(0) ?: throw EngineException("the model of engine $name has no input")
        if (!slot.resize(LongArray(shape.size) { shape[it].toLong() }) || !slot.setData(input)) {
            throw EngineException("engine $name does not take an input of ${shape.toList()}")
        }
        if (!predictor.run()) throw EngineException("engine $name failed on an input of ${shape.toList()}")
        val output = predictor.getOutput(0) ?: throw EngineException("the model of engine $name has no output")
        val sides = output.shape()
        val data = output.floatData
        if (sides.fold(1L) { size, side -> size * side } != data.size.toLong()) {
            throw EngineException("engine $name answered ${data.size} values as ${sides.toList()}")
        }
        return Tensor(data, IntArray(sides.size) { sides[it].toInt() })
    }

    /** Frees the native model at once; calling it twice is harmless. */
    @Synchronized
    override fun close() {
        predictor?.clear()
        predictor = null
    }

    private fun load(nb: File, threads: Int, powerMode: String): FreeablePredictor {
        val mode = PowerMode.values().firstOrNull { it.name == powerMode } ?: throw EngineException(
            "unknown power mode '$powerMode'",
            "use one of: ${PowerMode.values().joinToString(", ") { it.name }}",
        )
        val config = MobileConfig()
        config.setModelFromFile(nb.path)
        config.setThreads(threads)
        config.setPowerMode(mode)
        return try {
            FreeablePredictor(config)
        } catch (error: NotLoaded) {
            throw ModelException("Paddle Lite cannot load the model of engine $name", "build the app anew", error)
        }
    }

    private fun checkModel(nb: File, runtimeVersion: String, cpu: CpuFeatures) {
        val bytes = try {
            nb.readBytes()
        } catch (error: IOException) {
            val message = "the model of engine $name cannot be read: ${error.message}"
            throw ModelException(message, "install the app again", error)
        }
        val header = NbHeader.read(bytes, nb.name)
        if (normaliseVersion(header.optVersion) != normaliseVersion(runtimeVersion)) {
            throw ModelException(
                "${nb.name} was converted by opt ${header.optVersion}, this app's Paddle Lite is $runtimeVersion",
                "build the app with models and runtime of one version",
            )
        }
        if (header.usesFp16 && !cpu.halfPrecision) {
            throw ModelException(
                "${nb.name} computes in half precision (fp16), which this processor cannot",
                "use an app built for target arm64, or the OpenCV engine",
            )
        }
    }

    /** Runs [work] and turns a runtime that is absent, foreign or broken into an [EngineException]. */
    private fun <T> withRuntime(work: () -> T): T = try {
        work()
    } catch (error: NoClassDefFoundError) {
        throw notInThisApp(error)
    } catch (error: UnsatisfiedLinkError) {
        throw notInThisApp(error)
    } catch (error: ExceptionInInitializerError) {
        throw notInThisApp(error)
    } catch (error: RuntimeException) {
        throw EngineException("Paddle Lite failed in engine $name: ${error.message}", null, error)
    }

    private fun notInThisApp(cause: Throwable) = EngineException(
        "this app holds no Paddle Lite runtime for this processor (${cause.message})",
        "choose the OpenCV engine, or build the app with Paddle Lite's runtime",
        cause,
    )
}

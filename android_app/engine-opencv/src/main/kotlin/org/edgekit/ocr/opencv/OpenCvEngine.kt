package org.edgekit.ocr.opencv

import org.edgekit.ocr.EngineException
import org.edgekit.ocr.InferenceEngine
import org.edgekit.ocr.ModelException
import org.edgekit.ocr.Tensor
import org.edgekit.ocr.checkAnswer
import org.edgekit.ocr.checkInput
import org.edgekit.ocr.matScope
import org.opencv.core.Core
import org.opencv.core.CvException
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.MatOfByte
import org.opencv.dnn.Dnn
import org.opencv.dnn.Net

/**
 * OpenCV's DNN module on an ONNX file that the build made of a shipped `.nb`.
 *
 * One net serves every size of input. [threads] is OpenCV's number of threads, which the process shares. Calls
 * from several threads wait for each other.
 */
class OpenCvEngine(onnx: ByteArray, override val name: String, threads: Int) : InferenceEngine {
    private var net: Net? = load(onnx)

    init {
        Core.setNumThreads(threads)
    }

    @Synchronized
    override fun run(input: FloatArray, shape: IntArray): Tensor {
        checkInput(name, input, shape)
        val net = this.net ?: throw EngineException("engine $name was closed")
        return checkAnswer(name, forward(net, input, shape))
    }

    private fun forward(net: Net, input: FloatArray, shape: IntArray): Tensor = matScope { scope ->
        try {
            val blob = scope.own(Mat(shape, CvType.CV_32F))
            blob.put(IntArray(shape.size), input)
            net.setInput(blob)
            val output = scope.own(net.forward())
            val data = FloatArray(output.total().toInt())
            output.get(IntArray(output.dims()), data)
            Tensor(data, IntArray(output.dims()) { output.size(it) })
        } catch (error: CvException) {
            throw EngineException(
                "engine $name cannot run an input of ${shape.toList()}: ${error.message}",
                "the detector needs sides that are multiples of 32",
                error,
            )
        }
    }

    /** Frees the net; calling it twice is harmless. */
    @Synchronized
    override fun close() {
        if (net == null) return
        net = null
        // A Net has no release method: its native memory goes with the Java object, and nothing tells the
        // collector how large it is.
        System.gc()
    }

    private fun load(onnx: ByteArray): Net = matScope { scope ->
        val hint = "install the app again, or build it anew"
        if (onnx.isEmpty()) throw ModelException("the model of engine $name is empty", hint)
        val loaded = try {
            Dnn.readNetFromONNX(scope.own(MatOfByte(*onnx)))
        } catch (error: CvException) {
            throw ModelException("OpenCV cannot read the model of engine $name: ${error.message}", hint, error)
        }
        if (loaded.empty()) throw ModelException("the model of engine $name holds no layers", hint)
        loaded
    }
}

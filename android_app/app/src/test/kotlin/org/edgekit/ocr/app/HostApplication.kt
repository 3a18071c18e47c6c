package org.edgekit.ocr.app

import java.io.InputStream
import org.bytedeco.javacpp.Loader
import org.bytedeco.opencv.opencv_java
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.InferenceEngine
import org.edgekit.ocr.Tensor
import org.json.JSONObject

/** The app on the host: OpenCV's library is the host build of the same version. */
open class HostApplication : OcrApplication() {
    override fun loadLibrary() {
        Loader.load(opencv_java::class.java)
    }
}

/** The app on a processor that it has no library for. */
class NoLibraryApplication : OcrApplication() {
    override fun loadLibrary() = throw UnsatisfiedLinkError("no opencv_java4 for this processor")
}

/** The app with an OpenCV of another version than the one that is proven. */
class OtherOpenCvApplication : HostApplication() {
    override fun checkLibrary() = throw EngineException("OpenCV's classes are 4.11.0 and its library is 4.9.0")
}

/** The app as if it had Paddle Lite; [PretendedLite] takes its place. */
class LiteApplication : HostApplication() {
    val lite = PretendedLite()

    override val pipelines by lazy { Pipelines(bundle, marker, lite::engine) }

    override fun openAsset(name: String): InputStream {
        if (name != "bundle/assets.json") return super.openAsset(name)
        val listed = JSONObject(super.openAsset(name).use { String(it.readBytes()) })
        return listed.put("has_paddle_lite", true).toString().byteInputStream()
    }
}

/** Engines that find no text; [onRun] is called before each run with its role and the number of values. */
class PretendedLite {
    val opened = ArrayList<String>()
    val closed = ArrayList<String>()
    var onRun: (String, Int) -> Unit = { _, _ -> }

    fun engine(role: String, settings: ReadSettings): InferenceEngine = object : InferenceEngine {
        override val name = role

        init {
            opened.add("$role ${settings.powerMode} ${settings.threads}")
        }

        override fun run(input: FloatArray, shape: IntArray): Tensor {
            onRun(role, input.size)
            return Tensor(FloatArray(shape[2] * shape[3]), intArrayOf(1, 1, shape[2], shape[3]))
        }

        override fun close() {
            closed.add(role)
        }
    }
}

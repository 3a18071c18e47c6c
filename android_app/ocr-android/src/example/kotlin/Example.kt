import android.content.Context
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.OcrSpec
import org.edgekit.ocr.opencv.OpenCvEngine
import org.edgekit.ocr.parseLabels
import org.opencv.core.Mat

/** Reads [image] (CV_8UC3, BGR) with the bundle in the app's assets; `System.loadLibrary("opencv_java4")` comes first. */
fun readText(context: Context, image: Mat): String {
    fun bytes(name: String) = context.assets.open("bundle/$name").use { it.readBytes() }
    val profile = OcrSpec.parse(String(bytes("ocr_spec.json"))).profile()
    val labels = parseLabels(bytes("labels.txt"), profile.ctc)
    val det = OpenCvEngine(bytes("models/det.onnx"), "det", threads = 4)
    val rec = OpenCvEngine(bytes("models/rec.onnx"), "rec", threads = 4)
    return det.use { rec.use { OcrPipeline(profile, det, rec, labels).use { it.read(image).toText() } } }
}

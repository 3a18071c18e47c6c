package org.edgekit.ocr.app

import android.os.Build
import org.edgekit.ocr.OcrResult
import org.json.JSONArray
import org.json.JSONObject

/** One compared thing, for the list on the screen. */
class Check(val name: String, val passed: Boolean, val detail: String)

/** An image of the self-test and what was read from it. */
class ImageRow(val name: String, val result: OcrResult)

/** Milliseconds of [settings] and the device's state, one value for each round over all images. */
class BenchRow(
    private val settings: ReadSettings,
    val det: List<Double>,
    val rec: List<Double>,
    val total: List<Double>,
    val states: List<DeviceState>,
) {
    val threads: Int get() = settings.threads

    /** The power mode that was set; null with an engine that knows none. */
    val powerMode: String? get() = settings.powerMode.takeIf { settings.engine == ENGINE_PADDLE_LITE }
}

/** Everything a self-test found, as `selftest_report.schema.json` lays it down. */
class SelfTestReport(private val engine: String, private val info: BundleInfo) {
    val golden = ArrayList<Check>()
    val images = ArrayList<ImageRow>()
    val bench = ArrayList<BenchRow>()
    val errors = ArrayList<String>()

    fun toJson(): String {
        val root = JSONObject()
        root.put("report_version", VERSION)
        root.put("app_version", APP_VERSION)
        root.put("device", device())
        root.put("engine", engine)
        root.put("opt_version", info.optVersion)
        root.put("bundle_recipe", info.recipe)
        root.put("golden", array(golden) { check(it) })
        root.put("images", array(images) { image(it) })
        root.put("bench", array(bench) { bench(it) })
        root.put("errors", array(errors) { it })
        return root.toString(1)
    }

    private fun device(): JSONObject = JSONObject()
        .put("model", "${Build.MANUFACTURER} ${Build.MODEL}")
        .put("abi", Build.SUPPORTED_ABIS.firstOrNull() ?: "unknown")
        .put("api", Build.VERSION.SDK_INT)
        .put("cores_mhz", array(CoreClocks.read()) { it })

    private fun check(check: Check): JSONObject = JSONObject()
        .put("name", check.name)
        .put("passed", check.passed)
        .put("detail", check.detail)

    private fun image(row: ImageRow): JSONObject {
        val lines = row.result.lines
        val seconds = JSONObject()
        for ((stage, value) in row.result.timings) seconds.put(stage, value)
        return JSONObject()
            .put("name", row.name)
            .put("boxes", array(lines) { box(it.polygon) })
            .put("box_scores", array(lines) { it.boxScore })
            .put("texts", array(lines) { it.text })
            .put("scores", array(lines) { it.score })
            .put("seconds", seconds)
    }

    private fun box(polygon: IntArray): JSONArray = array(polygon.toList().chunked(2)) { point -> array(point) { it } }

    private fun bench(row: BenchRow): JSONObject = JSONObject()
        .put("threads", row.threads)
        .put("power_mode", row.powerMode ?: JSONObject.NULL)
        .put("det_ms", array(row.det) { it })
        .put("rec_ms", array(row.rec) { it })
        .put("total_ms", array(row.total) { it })
        .put("thermal", array(row.states) { it.thermal ?: JSONObject.NULL })
        .put("hidden", array(row.states) { it.hidden })

    private fun <T> array(items: List<T>, value: (T) -> Any): JSONArray {
        val array = JSONArray()
        for (item in items) array.put(value(item))
        return array
    }

    companion object {
        const val VERSION = 2
        const val APP_VERSION = "0.1.0"
        private const val UNKNOWN = "unknown"

        /** Returns the report of a test that [cause] stopped before it could compare anything. */
        fun stopped(options: SelfTestOptions, cause: Throwable): SelfTestReport {
            val report = SelfTestReport(options.engine ?: UNKNOWN, BundleInfo(false, null, "", UNKNOWN, emptyMap()))
            report.errors.add("stopped: ${cause.message ?: cause.javaClass.simpleName}")
            return report
        }
    }
}

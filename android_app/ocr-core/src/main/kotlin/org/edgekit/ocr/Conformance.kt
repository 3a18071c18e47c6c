package org.edgekit.ocr

import java.io.IOException
import java.io.InputStream
import org.json.JSONException
import org.json.JSONObject

/** Where the files of a set of golden vectors come from: a folder, or the app's assets. */
interface VectorSource {
    /** Opens the file called [name]; throws [IOException] when there is none. */
    fun open(name: String): InputStream
}

/**
 * Runs golden vectors, which edge_kit.android.conformance wrote from the Python pipeline, and compares bit for bit.
 *
 * OpenCV's native library must be loaded.
 */
object Conformance {
    private const val FORMAT = 1
    private const val HINT = "install the app again, or build it anew"

    /** Runs the set in [vectors], reporting each case to [progress]; throws [BundleException] when it cannot be read. */
    fun run(vectors: VectorSource, progress: (CaseResult) -> Unit = {}): ConformanceReport {
        try {
            val manifest = JSONObject(text(vectors, "manifest.json"))
            if (manifest.getInt("format") != FORMAT) throw BundleException("golden vectors of another format", HINT)
            val spec = OcrSpec.parse(text(vectors, manifest.getString("spec")))
            val cases = manifest.getJSONArray("cases")
            val results = ArrayList<CaseResult>(cases.length())
            val intact = HashSet<String>()
            for (i in 0 until cases.length()) {
                val result = runCase(cases.getJSONObject(i), spec, vectors, intact)
                results.add(result)
                progress(result)
            }
            return ConformanceReport(results)
        } catch (error: IOException) {
            throw BundleException("the golden vectors cannot be read: ${error.message}", HINT, error)
        } catch (error: JSONException) {
            throw BundleException("the list of golden vectors is damaged: ${error.message}", HINT, error)
        }
    }

    private fun text(vectors: VectorSource, name: String) =
        vectors.open(name).use { String(it.readBytes(), Charsets.UTF_8) }

    private fun runCase(
        case: JSONObject,
        spec: OcrSpec,
        vectors: VectorSource,
        intact: MutableSet<String>,
    ): CaseResult {
        val inputs = HashMap<String, VectorArray>()
        val rows = case.getJSONObject("inputs")
        for (name in rows.keys()) inputs[name] = VectorArray.read(rows.getJSONObject(name), vectors, intact)
        val stages = ConformanceStages(spec.profile(case.getString("profile")))
        val stage = case.getString("stage")
        val begin = System.nanoTime()
        val answer = stages.run(stage, case.getJSONObject("params"), inputs)
        val seconds = (System.nanoTime() - begin) / 1e9
        val message = compare(case.getJSONObject("expected"), answer, vectors)
        return CaseResult(case.getString("name"), stage, seconds, message)
    }

    /** Returns what differs, empty when nothing does. */
    private fun compare(expected: JSONObject, answer: Map<String, VectorArray>, vectors: VectorSource): String {
        val messages = ArrayList<String>()
        for (name in expected.keys()) {
            val row = expected.getJSONObject(name)
            val found = answer[name]
            val shape = VectorArray.shapeOf(row).toList()
            when {
                found == null -> messages.add("no $name")
                found.dtype != row.getString("dtype") || found.shape.toList() != shape ->
                    messages.add("$name is ${found.dtype} ${found.shape.toList()}, not ${row.getString("dtype")} $shape")
                found.sha256() != row.getString("sha256") -> messages.add("$name differs" + count(row, found, vectors))
            }
        }
        return messages.sorted().joinToString("; ")
    }

    private fun count(row: JSONObject, found: VectorArray, vectors: VectorSource): String {
        if (!row.has("file")) return ""
        return " in ${found.differences(VectorArray.read(row, vectors))} of ${found.size} values"
    }
}

package org.edgekit.ocr.app

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest
import org.edgekit.ocr.Alpha
import org.edgekit.ocr.BundleException
import org.edgekit.ocr.OcrProfile
import org.edgekit.ocr.OcrSpec
import org.edgekit.ocr.RuntimeConfig
import org.edgekit.ocr.parseLabels
import org.json.JSONException
import org.json.JSONObject

private const val ROOT = "bundle"
private const val HINT = "install the app again, or build it anew"

/**
 * What `assets.json` says of the bundle in the app; [sums] holds the SHA-256 of each file.
 *
 * [liteVersion] is that of the Paddle Lite runtime in the app; null when the app has none or it does not name one.
 */
class BundleInfo(
    val hasPaddleLite: Boolean,
    val liteVersion: String?,
    val optVersion: String,
    val recipe: String,
    val sums: Map<String, String>,
) {
    companion object {
        /** Parses `assets.json`; throws [BundleException] when it is damaged. */
        fun parse(json: String): BundleInfo = try {
            val root = JSONObject(json)
            val files = root.getJSONObject("files")
            val sums = HashMap<String, String>()
            for (name in files.keys()) sums[name] = files.getJSONObject(name).getString("sha256")
            BundleInfo(
                root.getBoolean("has_paddle_lite"),
                if (root.isNull("lite_version")) null else root.getString("lite_version"),
                root.getString("opt_version"),
                root.getString("recipe"),
                sums,
            )
        } catch (error: JSONException) {
            throw BundleException("assets.json is damaged: ${error.message}", HINT, error)
        }
    }
}

/** The bundle among the app's assets, which [asset] opens; every file is checked against its sum. [folder] keeps unpacked models. */
class AppBundle(private val folder: File, private val asset: (String) -> InputStream) {
    val info: BundleInfo by lazy { BundleInfo.parse(String(bytes("assets.json"), Charsets.UTF_8)) }
    val runtime: RuntimeConfig by lazy { RuntimeConfig.parse(text("runtime_config.json")) }

    /** What the profile that the build verified says of transparent pixels. */
    val alpha: Alpha
        get() = OcrSpec.parse(text(runtime.specFile)).profile(runtime.specProfile).alpha

    /** Returns the profile that the build verified, with [longestSide] pixels as the detector's bound. */
    fun profile(longestSide: Int): OcrProfile {
        val profile = OcrSpec.parse(text(runtime.specFile)).profile(runtime.specProfile)
        return profile.copy(detection = profile.detection.limitedTo(longestSide))
    }

    /** Returns the recogniser's characters in the order of its classes after the blank. */
    fun characters(profile: OcrProfile): List<String> = parseLabels(checked(runtime.labels), profile.ctc)

    /** Returns the ONNX file of the model for [role] (`det`, `rec`, `cls`). */
    fun onnx(role: String): ByteArray = checked("models/$role.onnx")

    /** Returns the `.nb` file of the model for [role], unpacked since Paddle Lite reads files. */
    fun nb(role: String): File {
        val name = "models/$role.nb"
        val data = checked(name)
        val target = File(folder, "$role.nb")
        try {
            if (!target.isFile || sha256(target.readBytes()) != info.sums[name]) replace(target, data)
        } catch (error: IOException) {
            throw BundleException("$name cannot be unpacked: ${error.message}", "free some storage", error)
        }
        return target
    }

    /** Returns whether the bundle has a file called [name]. */
    fun has(name: String): Boolean = name in info.sums

    private fun text(name: String) = String(checked(name), Charsets.UTF_8)

    private fun checked(name: String): ByteArray {
        val expected = info.sums[name] ?: throw BundleException("the bundle has no file $name", HINT)
        val data = bytes(name)
        if (sha256(data) != expected) throw BundleException("$name is not the file that was built", HINT)
        return data
    }

    private fun bytes(name: String): ByteArray = try {
        asset("$ROOT/$name").use { it.readBytes() }
    } catch (error: IOException) {
        throw BundleException("the app lacks $ROOT/$name", HINT, error)
    }
}

/** Writes [data] beside [target] and renames it, so that no reader sees half of it; throws [IOException]. */
fun replace(target: File, data: ByteArray) {
    val folder = target.absoluteFile.parentFile ?: throw IOException("$target has no folder")
    if (!folder.isDirectory && !folder.mkdirs() && !folder.isDirectory) throw IOException("cannot make $folder")
    val scratch = File.createTempFile("part", null, folder)
    try {
        scratch.writeBytes(data)
        if (!scratch.renameTo(target)) throw IOException("cannot rename to $target")
    } finally {
        scratch.delete()
    }
}

private fun sha256(data: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(data).joinToString("") { "%02x".format(it) }

import java.io.File
import java.net.HttpURLConnection
import java.net.URI
import org.json.JSONObject

/** Prints the text of an image or PDF. Arguments: the file, the service's address. Runs on Android too. */
fun main(args: Array<String>) {
    val connection = URI("${args[1]}/ocr?visualize=false").toURL().openConnection() as HttpURLConnection
    connection.doOutput = true
    connection.setRequestProperty("Content-Type", "application/octet-stream")
    File(args[0]).inputStream().use { it.copyTo(connection.outputStream) }
    check(connection.responseCode == 200) { connection.errorStream.reader().readText() }
    val answer = JSONObject(connection.inputStream.reader().readText())
    val pages = answer.getJSONObject("result").getJSONArray("ocrResults")
    for (page in 0 until pages.length()) {
        val texts = pages.getJSONObject(page).getJSONObject("prunedResult").getJSONArray("rec_texts")
        for (line in 0 until texts.length()) println(texts.getString(line))
    }
}

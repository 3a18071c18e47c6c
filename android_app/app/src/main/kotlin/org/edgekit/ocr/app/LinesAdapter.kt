package org.edgekit.ocr.app

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.TextView
import java.text.NumberFormat
import org.edgekit.ocr.OcrLine

/** Rows of a list: the text of a line, its score in percent, and a button that calls [copy] with the text. */
class LinesAdapter(
    private val inflater: LayoutInflater,
    private val lines: List<OcrLine>,
    private val copy: (String) -> Unit,
) : BaseAdapter() {
    override fun getCount(): Int = lines.size

    override fun getItem(position: Int): OcrLine = lines[position]

    override fun getItemId(position: Int): Long = position.toLong()

    override fun getView(position: Int, old: View?, parent: ViewGroup): View {
        val row = old ?: inflater.inflate(R.layout.line_row, parent, false)
        val line = lines[position]
        val percent = percent(line.score)
        row.findViewById<TextView>(R.id.text).text = line.text
        row.findViewById<TextView>(R.id.score).text = row.context.getString(R.string.result_score, percent)
        row.contentDescription = row.context.getString(R.string.result_line, line.text, percent)
        val button = row.findViewById<View>(R.id.copy)
        button.contentDescription = row.context.getString(R.string.copy_line, line.text)
        button.setOnClickListener { copy(line.text) }
        return row
    }

    private fun percent(score: Double): String {
        val format = NumberFormat.getNumberInstance()
        format.minimumFractionDigits = 1
        format.maximumFractionDigits = 1
        return format.format(score * 100)
    }
}

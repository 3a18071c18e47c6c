package org.edgekit.ocr.app

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.TextView

/** Rows of the self-test: name, passed or failed, numbers. */
class ChecksAdapter(private val inflater: LayoutInflater, private val checks: List<Check>) : BaseAdapter() {
    override fun getCount(): Int = checks.size

    override fun getItem(position: Int): Check = checks[position]

    override fun getItemId(position: Int): Long = position.toLong()

    override fun getView(position: Int, old: View?, parent: ViewGroup): View {
        val row = old ?: inflater.inflate(R.layout.check_row, parent, false)
        val check = checks[position]
        val verdict = row.context.getString(if (check.passed) R.string.selftest_pass else R.string.selftest_fail)
        val name = row.findViewById<TextView>(R.id.check_name)
        name.text = row.context.getString(R.string.selftest_row, check.name, verdict)
        name.setTextColor(row.context.getColor(if (check.passed) R.color.pass else R.color.fail))
        val detail = row.findViewById<TextView>(R.id.check_detail)
        detail.text = check.detail
        detail.visibility = if (check.detail.isEmpty()) View.GONE else View.VISIBLE
        return row
    }
}

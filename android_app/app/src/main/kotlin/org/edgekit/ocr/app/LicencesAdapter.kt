package org.edgekit.ocr.app

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.TextView

/** Rows of the licences: the part's name, and its licence. */
class LicencesAdapter(private val inflater: LayoutInflater, private val rows: List<Licence>) : BaseAdapter() {
    override fun getCount(): Int = rows.size

    override fun getItem(position: Int): Licence = rows[position]

    override fun getItemId(position: Int): Long = position.toLong()

    override fun getView(position: Int, old: View?, parent: ViewGroup): View {
        val row = old ?: inflater.inflate(R.layout.licence_row, parent, false)
        row.findViewById<TextView>(R.id.licence_name).text = rows[position].title
        row.findViewById<TextView>(R.id.licence_terms).text = rows[position].licence
        return row
    }
}

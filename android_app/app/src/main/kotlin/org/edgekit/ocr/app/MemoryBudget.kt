package org.edgekit.ocr.app

import android.app.ActivityManager
import android.content.Context

/** How many pixels a picture may have on this device at this time. */
object MemoryBudget {
    /** Decoded pixels (3 bytes), the same turned by EXIF, and as much again for the decoder and the stages. */
    private const val BYTES_PER_PIXEL = 12
    private const val LEAST = 4_000_000L
    private const val MOST = 200_000_000L

    /** Returns the budget in pixels: half of what is free above the system's own threshold. */
    fun pixels(context: Context): Long {
        val memory = of(context)
        return pixels(memory.availMem - memory.threshold)
    }

    /** Whether the system counts itself as short of memory now. */
    fun isShort(context: Context): Boolean = of(context).lowMemory

    private fun of(context: Context) = ActivityManager.MemoryInfo().also {
        context.getSystemService(ActivityManager::class.java).getMemoryInfo(it)
    }

    /** Returns the budget for [freeBytes]; every ordinary screenshot fits into the least of it. */
    fun pixels(freeBytes: Long): Long = (freeBytes / 2 / BYTES_PER_PIXEL).coerceIn(LEAST, MOST)
}

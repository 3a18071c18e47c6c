package org.edgekit.ocr.app

import android.app.KeyguardManager
import android.content.Context
import android.os.Build
import android.os.PowerManager
import java.io.File
import java.io.IOException

/**
 * What makes a device slower than it is: [thermal] is Android's status, 0 for none up to 6, null where it is not known
 * (before Android 10); [hidden] says that the screen was dark or locked, when an app gets the small cores.
 */
class DeviceState(val thermal: Int?, val hidden: Boolean) {
    /** Returns the worse of both states in each respect. */
    fun worse(other: DeviceState): DeviceState {
        val known = listOfNotNull(thermal, other.thermal)
        return DeviceState(if (known.isEmpty()) null else known.max(), hidden || other.hidden)
    }

    companion object {
        /** Returns the present state of this device. */
        fun of(context: Context): DeviceState {
            val power = context.getSystemService(PowerManager::class.java)
            val thermal = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) power.currentThermalStatus else null
            val locked = context.getSystemService(KeyguardManager::class.java).isKeyguardLocked
            return DeviceState(thermal, locked || !power.isInteractive)
        }
    }
}

/** The highest clock of each core in MHz, by the core's number; empty where the kernel does not show them. */
object CoreClocks {
    private const val CPUS = "/sys/devices/system/cpu"

    fun read(folder: File = File(CPUS)): List<Int> {
        val clocks = ArrayList<Int>()
        while (true) {
            val file = File(folder, "cpu${clocks.size}/cpufreq/cpuinfo_max_freq")
            val kilohertz = try {
                file.readText().trim().toIntOrNull()
            } catch (error: IOException) {
                null
            }
            clocks.add((kilohertz ?: return clocks) / 1000)
        }
    }
}

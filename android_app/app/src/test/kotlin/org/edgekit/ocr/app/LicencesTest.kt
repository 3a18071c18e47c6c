package org.edgekit.ocr.app

import android.app.Activity
import android.content.Intent
import android.view.View
import android.widget.ListView
import android.widget.TextView
import java.io.FileNotFoundException
import java.io.InputStream
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.edgekit.ocr.BundleException
import org.junit.Before
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** What the app says of the licences of all that it holds. */
@RunWith(RobolectricTestRunner::class)
class LicencesTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication

    @Before
    fun bundle() = needsBundle()

    private fun licences(): LicencesActivity {
        val screen = Robolectric.buildActivity(LicencesActivity::class.java).setup().get()
        waitFor("the licences") { screen.list.adapter != null }
        return screen
    }

    private val Activity.list get() = findViewById<ListView>(R.id.licences)

    @Test
    fun `the menu leads to a list of all parts, and a part to its licence`() {
        val main = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        assertTrue(shadowOf(main).clickMenuItem(R.id.action_licences))
        assertEquals(LicencesActivity::class.java.name, shadowOf(main).nextStartedActivity.component?.className)

        val screen = licences()
        assertEquals(app.licences.all.map { it.title }, List(screen.list.count) { (screen.list.adapter.getItem(it) as Licence).title })
        screen.screenshot("app_licences_light")
        val at = app.licences.all.indexOfFirst { it.title.startsWith("libpng ") }
        val row = screen.list.adapter.getView(at, null, screen.list)
        assertEquals("libpng-2.0", row.findViewById<TextView>(R.id.licence_terms).text.toString())
        screen.list.performItemClick(row, at, at.toLong())
        val page = open(shadowOf(screen).nextStartedActivity)
        assertEquals(app.licences.all[at].title, page.title.toString())
        assertContains(page.text(R.id.licence_text), "PNG REFERENCE LIBRARY LICENSE", ignoreCase = true)
        page.screenshot("app_licence_light")
        everyControlHasWords(page.window.decorView)
        nothingIsCut(page.findViewById(R.id.root), "licence")
    }

    private fun open(intent: Intent): LicenceActivity {
        assertEquals(LicenceActivity::class.java.name, intent.component?.className)
        val page = Robolectric.buildActivity(LicenceActivity::class.java, intent).setup().get()
        waitFor("the licence") { page.text(R.id.licence_text).isNotEmpty() }
        return page
    }

    @Test
    fun `every part has its licence in the app`() {
        val parts = app.licences.all
        assertTrue(parts.size > 20, "${parts.size} parts")
        for (part in parts) {
            assertTrue(part.texts.isNotEmpty(), part.title)
            val text = app.licences.text(part)
            assertTrue(text.startsWith(part.licence) && text.length > 600, part.title)
        }
        assertContains(app.licences.text(parts.first()), "END OF TERMS AND CONDITIONS")
    }

    @Test
    fun `a damaged list is a fault of the bundle`() {
        for (json in listOf("", "[]", "{}", """{"components": [{"title": "x"}]}""")) {
            val damaged = Licences { json.byteInputStream() }
            assertContains(assertFailsWith<BundleException> { damaged.all }.message.orEmpty(), "components.json is damaged")
        }
    }

    @Test
    @Config(application = NoLicencesApplication::class)
    fun `an app that lacks the list says so`() {
        val screen = licences()
        assertEquals(View.VISIBLE, screen.findViewById<View>(R.id.licences_problem).visibility)
        assertContains(screen.text(R.id.licences_problem), "the app lacks licences/components.json")
        assertContains(open(LicenceActivity.intent(app, 0)).text(R.id.licence_text), "the app lacks licences/components.json")
    }
}

/** The app without its licences. */
class NoLicencesApplication : HostApplication() {
    override fun openAsset(name: String): InputStream =
        if (name.startsWith("licences/")) throw FileNotFoundException(name) else super.openAsset(name)
}

// Not exercised: see settings.gradle.kts. Versions as in pom.xml; AGP 8.7.3 wants Gradle 8.9 and a JDK 17.
plugins {
    id("com.android.application") version "8.7.3" apply false
    id("org.jetbrains.kotlin.android") version "2.2.20" apply false
    id("org.jetbrains.kotlin.jvm") version "2.2.20" apply false
}

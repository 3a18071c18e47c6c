// Not exercised: see settings.gradle.kts. Versions as in pom.xml. AGP 8.11 is the newest that Kotlin 2.2.20 is made for;
// it builds for API 36 at most, and wants Gradle 8.13 or newer and a JDK 17.
import org.jetbrains.kotlin.gradle.dsl.JvmTarget
import org.jetbrains.kotlin.gradle.dsl.KotlinJvmProjectExtension

plugins {
    id("com.android.application") version "8.11.1" apply false
    id("org.jetbrains.kotlin.android") version "2.2.20" apply false
    id("org.jetbrains.kotlin.jvm") version "2.2.20" apply false
}

// './gradlew wrapper' writes Gradle's own wrapper of the release that gradle-wrapper.properties pins.
tasks.wrapper {
    gradleVersion = "8.13"
    distributionType = Wrapper.DistributionType.BIN
    distributionSha256Sum = "20f1b1176237254a6fc204d8434196fa11a4cfb387567519c61556e8710aed78"
}

// What every library is compiled for: class files that dx reads, without an invokedynamic.
subprojects {
    plugins.withId("org.jetbrains.kotlin.jvm") {
        extensions.configure<KotlinJvmProjectExtension> {
            compilerOptions {
                jvmTarget.set(JvmTarget.JVM_1_8)
                freeCompilerArgs.addAll(
                    "-Xlambdas=class",
                    "-Xsam-conversions=class",
                    "-Xstring-concat=inline",
                    "-Xjdk-release=1.8",
                )
            }
        }
    }
    plugins.withId("java") {
        extensions.configure<JavaPluginExtension> {
            sourceCompatibility = JavaVersion.VERSION_1_8
            targetCompatibility = JavaVersion.VERSION_1_8
        }
        tasks.withType<Test>().configureEach {
            useJUnitPlatform()
            // A heap of constant size, so that tests can separate native memory from it.
            jvmArgs("-Xms768m", "-Xmx768m", "-XX:+AlwaysPreTouch")
        }
    }
}

// Not exercised: see settings.gradle.kts. Numbers and versions as in configs/android.yaml and pom.xml.
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.edgekit.ocr.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.edgekit.ocr"
        minSdk = 26
        targetSdk = 36
        versionCode = 100
        versionName = "0.1.0"
        ndk {
            abiFilters += "arm64-v8a"
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    // Libraries compressed in the APK, unpacked when it is installed.
    packaging {
        jniLibs {
            useLegacyPackaging = true
        }
    }

    // The bundle, golden vectors and self-test images: unpack assets/ of an APK that edge-kit built, and give the folder
    // with -PedgekitAssets=DIR.
    providers.gradleProperty("edgekitAssets").orNull?.let { sourceSets["main"].assets.srcDir(it) }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles("../../configs/android_rules.pro")
        }
    }

    testOptions {
        unitTests {
            isIncludeAndroidResources = true
            all {
                // Each version of Android has its own class loader, and a native library can have one only.
                it.setForkEvery(1)
                it.maxHeapSize = "2g"
                it.jvmArgs(
                    "--add-opens=java.base/java.io=ALL-UNNAMED",
                    "--add-opens=java.base/java.lang=ALL-UNNAMED",
                    "--add-opens=java.base/java.util=ALL-UNNAMED",
                    "--add-opens=java.base/java.net=ALL-UNNAMED",
                    "--add-opens=java.base/java.nio=ALL-UNNAMED",
                )
                it.systemProperty("edgekit.screenshots", layout.buildDirectory.dir("screenshots").get().asFile.path)
            }
        }
    }
}

kotlin {
    compilerOptions {
        jvmTarget.set(JvmTarget.JVM_1_8)
        freeCompilerArgs.addAll("-Xlambdas=class", "-Xsam-conversions=class", "-Xstring-concat=inline")
    }
}

// Maven's own description of the linked app; the Android plugin writes another.
tasks.withType<Sync>().configureEach {
    if (name.endsWith("UnitTestJavaRes")) exclude("com/android/tools/**")
}

dependencies {
    implementation(project(":ocr-core"))
    implementation(project(":engine-opencv"))
    implementation(project(":engine-paddle-lite"))
    // The one version whose numbers equal Python's. Its libc++_shared.so is aligned to 4 KB only: for devices with pages
    // of 16 KB take that of 4.12.0, as edge-kit's own packager does.
    implementation("org.opencv:opencv:4.11.0")
    // Paddle Lite's runtime, where it is at hand: PaddlePredictor.jar in libs/, libpaddle_lite_jni.so in
    // src/main/jniLibs/arm64-v8a/.
    implementation(fileTree("libs") { include("*.jar") })

    testImplementation("org.robolectric:robolectric:4.14.1") {
        // src/test/java/androidx stands in for them.
        exclude(group = "androidx.test")
        exclude(group = "androidx.test.espresso")
    }
    testImplementation("junit:junit:4.13.2")
    testImplementation("org.jetbrains.kotlin:kotlin-test-junit:2.2.20")
    testImplementation("org.bytedeco:opencv:4.11.0-1.5.12")
    // OpenCV's library of the host; on another one change the classifier, as native.platform in pom.xml.
    testImplementation("org.bytedeco:opencv:4.11.0-1.5.12:linux-x86_64")
    testImplementation("org.bytedeco:openblas:0.3.30-1.5.12:linux-x86_64")
    testImplementation("org.bytedeco:javacpp:1.5.12:linux-x86_64")
}

package alerts

// line says how often explorers disagreed, and who turned out to be wrong.
func (d Disagreeing) line() string {
	text := "Disagreements of explorers: " + grouped(d.Began) + " began, " + grouped(d.Ended) + " ended, " + grouped(d.Open) + " open"
	if d.NotKept > 0 {
		text += ", and " + grouped(d.NotKept) + " more that day that are not kept"
	}
	if len(d.Wrong) > 0 {
		text += "; shown to have been wrong: " + list(cleanAll(d.Wrong))
	}
	return text + ". See report.disagreements."
}
